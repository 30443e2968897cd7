"""Makes codegen/rt/imagefile/testdata/pictures.tar.gz: small pictures of many kinds, whole and
damaged, and beside each NAME the NAME.ppm that Pillow 12.0.0 makes of it,

    ImageOps.exif_transpose(Image.open(NAME)).convert("RGB")

or nothing, where Pillow refuses it. Of 16-bit greys the PPM has the high byte, not white.

    python3 make_pictures.py ../../codegen/rt/imagefile/testdata/pictures.tar.gz

Kinds that Pillow cannot write are written here.
"""

import gzip
import io
import random
import struct
import sys
import tarfile
import zlib

import numpy as np
import PIL
from PIL import Image, ImageOps

assert PIL.__version__ == "12.0.0", PIL.__version__
rng = np.random.default_rng(15)
random.seed(15)
W, H = 13, 9
files = {}


def noise(*shape, top=256):
    return rng.integers(0, top, shape, dtype=np.uint8)


def bmp(name, header, bits, data, compression=0, palette=b"", masks=(), top_down=False, colors=0, reserved=0, offset=None, size=(W, H)):
    w, h = size
    if header == 12:
        b = struct.pack("<IHHHH", 12, w, h, 1, bits)
    else:
        b = struct.pack("<IiiHHIIiiII", header, w, -h if top_down else h, 1, bits, compression, len(data), 2835, 2835, colors, 0)
        if header >= 52:
            b += struct.pack("<4I", *masks, *[0] * (4 - len(masks)))[: 12 if header == 52 else 16]
        b = b.ljust(header, b"\0")
        if header == 40:
            b += struct.pack(f"<{len(masks)}I", *masks)
    b += palette
    start = 14 + len(b) if offset is None else offset
    files[f"{name}.bmp"] = b"BM" + struct.pack("<III", 14 + len(b) + len(data), reserved, start) + b + data


def bmps():
    def rows(bits):
        return noise((W * bits + 31) // 32 * 4 * H).tobytes()

    def palette(n, size=4):
        return noise(n, size).tobytes()

    for bits in (1, 4, 8):
        bmp(f"os2-{bits}", 12, bits, rows(bits), palette=palette(1 << bits, 3))
        bmp(f"v3-{bits}", 40, bits, rows(bits), palette=palette(1 << bits))
    for bits in (16, 24, 32):
        bmp(f"os2-{bits}", 12, bits, rows(bits))
        for header in (40, 64, 108, 124):
            bmp(f"v{header}-{bits}", header, bits, rows(bits))
    bmp("top-down", 40, 24, rows(24), top_down=True)
    bmp("top-down-8", 124, 8, rows(8), palette=palette(256), top_down=True)
    bmp("few-colors", 40, 8, rows(8), palette=palette(40), colors=40)
    ramp = b"".join(bytes([i, i, i, 0]) for i in range(40))
    bmp("ramp", 40, 8, rows(8), palette=ramp, colors=40)
    bmp("reserved", 40, 24, rows(24), reserved=0x12345678)
    bmp("offset-of-palette", 40, 8, rows(8), palette=palette(256), offset=54)
    bmp("no-offset", 40, 24, rows(24), offset=0)
    bmp("no-padding", 40, 24, rows(24)[:-1])
    bmp("cut", 40, 24, rows(24)[:-2])
    for header in (40, 52, 56, 108, 124):
        bmp(f"565-{header}", header, 16, rows(16), 3, masks=(0xF800, 0x7E0, 0x1F))
        bmp(f"xbgr-{header}", header, 32, rows(32), 3, masks=(0xFF000000, 0xFF0000, 0xFF00))
    for header in (56, 108, 124):
        bmp(f"bgra-{header}", header, 32, rows(32), 3, masks=(0xFF0000, 0xFF00, 0xFF, 0xFF000000))
        bmp(f"rgba-{header}", header, 32, rows(32), 3, masks=(0xFF, 0xFF00, 0xFF0000, 0xFF000000))
    bmp("no-masks", 124, 32, rows(32), 3, masks=(0, 0, 0, 0))
    for bits, kind in ((8, 1), (4, 2)):
        data = bytearray()
        for y in range(H):
            x = 0
            while x < W:
                n = min(random.choice((2, 4, 6)), W - x)
                if n >= 4 and random.random() < 0.5:
                    a = noise(n if bits == 8 else n // 2).tobytes()
                    data += bytes([0, n if bits == 8 else 2 * (n // 2)]) + a + b"\0" * (len(a) % 2)
                    x += n if bits == 8 else 2 * (n // 2)
                else:
                    data += bytes([n, random.randrange(256)])
                    x += n
            data += b"\0\0"
        bmp(f"rle{bits}", 40, bits, bytes(data) + b"\0\1", kind, palette(1 << bits))
        bmp(f"rle{bits}-cut", 40, bits, bytes(data[:-9]), kind, palette(1 << bits))
    bmp("rle8-long", 40, 8, bytes([13, 7, 0, 0, 10, 4, 0, 0, 14, 5, 0, 0, 0, 1]), 1, palette(256), size=(10, 3))


def png_chunk(kind, body, crc=None):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body) if crc is None else crc)


def png(name, *chunks, cut=0):
    data = b"\x89PNG\r\n\x1a\n" + b"".join(chunks)
    files[f"{name}.png"] = data[: len(data) - cut]


def pngs():
    end = png_chunk(b"IEND", b"")
    samples = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}

    def head(color, depth, interlaced=0):
        return png_chunk(b"IHDR", struct.pack(">IIBBBBB", W, H, depth, color, 0, 0, interlaced))

    def raw(color, depth, interlaced=0):
        passes = [(0, 0, 1, 1)]
        if interlaced:
            passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
        out = b""
        for x, y, dx, dy in passes:
            w, h = (W - x + dx - 1) // dx, (H - y + dy - 1) // dy
            for _ in range(h if w > 0 else 0):
                out += bytes([random.randrange(5)]) + noise((w * samples[color] * depth + 7) // 8).tobytes()
        return out

    for color, depth in ((0, 1), (0, 16), (2, 8), (2, 16), (3, 4), (4, 8), (6, 8), (6, 16)):
        for interlaced in (0, 1):
            chunks = [head(color, depth, interlaced)]
            if color == 3:
                chunks += [png_chunk(b"PLTE", noise(3 << depth).tobytes() + b"x"), png_chunk(b"tRNS", b"\0\x80\xff")]
            if color == 2:
                chunks += [png_chunk(b"tRNS", b"\0\1\0\2\0\3")]
            png(f"png-{color}-{depth}-{interlaced}", *chunks, png_chunk(b"IDAT", zlib.compress(raw(color, depth, interlaced))), end)
    h, r = head(2, 8), raw(2, 8)
    z = zlib.compress(r)
    parts = [png_chunk(b"IDAT", z[i : i + 100]) for i in range(0, len(z), 100)]
    text = png_chunk(b"tEXt", b"Comment\0hello")
    bad = png_chunk(b"tEXt", b"Comment\0hello", 5)
    idat = png_chunk(b"IDAT", z)
    row = len(r) // H
    for name, chunks in {
        "no-iend": (idat,),
        "bad-crc-of-iend": (idat, end[:-1] + b"x"),
        "bad-crc-of-idat": (png_chunk(b"IDAT", z, 1), end),
        "bad-crc-of-text-after": (idat, bad, end),
        "bad-crc-of-text-before": (bad, idat, end),
        "junk-after": (idat, b"junk that is no chunk"),
        "zeros-after": (idat, bytes(40)),
        "text-cut": (idat, text[:-8]),
        "text-between": (parts[0], text, *parts[1:], end),
        "empty-idat": (png_chunk(b"IDAT", b""), *parts, png_chunk(b"IDAT", b""), end),
        "extra-idat": (idat, png_chunk(b"IDAT", b"zzz"), end),
        "no-adler": (png_chunk(b"IDAT", z[:-4]), end),
        "half-an-adler": (png_chunk(b"IDAT", z[:-2]), end),
        "bad-adler": (png_chunk(b"IDAT", z[:-1] + bytes([z[-1] ^ 1])), end),
        "cut": (png_chunk(b"IDAT", z[:-9]), end),
        "too-much": (png_chunk(b"IDAT", zlib.compress(r + bytes(100))), end),
        "too-little": (png_chunk(b"IDAT", zlib.compress(r[:-1])), end),
        "rows-missing": (png_chunk(b"IDAT", zlib.compress(r[: -3 * row])), end),
        "bad-zlib": (png_chunk(b"IDAT", b"\0" + z[1:]), end),
        "bad-deflate": (png_chunk(b"IDAT", z[:20] + b"\xff" * 9 + z[29:]), end),
    }.items():
        png(name, h, *chunks)
    for n in (1, 4, 8, 11):
        png(f"iend-cut-{n}", h, idat, end, cut=n)
    png("file-cut", h, idat, cut=30)
    exif = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
    profile = b"\nexif\n" + b"%8d" % len(exif) + b"\n" + exif.hex().encode() + b"\n"
    xmp = b'<x:xmpmeta tiff:Orientation="%d"/>'
    for name, chunks in {
        "exif": (png_chunk(b"eXIf", exif), idat),
        "exif-after": (idat, png_chunk(b"eXIf", exif)),
        "profile": (png_chunk(b"tEXt", b"Raw profile type exif\0" + profile), idat),
        "profile-packed": (png_chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(profile)), idat),
        "profile-after": (idat, png_chunk(b"tEXt", b"Raw profile type exif\0" + profile)),
        "xmp": (png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp % 8), idat),
        "xmp-packed": (png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(xmp % 8)), idat),
        "exif-and-xmp": (png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp % 8), png_chunk(b"eXIf", exif), idat),
        "exif-over-profile": (png_chunk(b"tEXt", b"Raw profile type exif\0" + profile), png_chunk(b"eXIf", exif.replace(b"\x06\0\0\0", b"\x03\0\0\0", 1)), idat),
    }.items():
        png(f"turned-{name}", h, *chunks, end)


def gif(name, screen, frame, bits=4, table=True, local=False, transparent=None, interlaced=False, after=b"", colors=None, end=True):
    x, y, w, h = frame
    bits_of_table = colors or bits
    data = b"GIF89a" + struct.pack("<HHBBB", *screen, (0x80 if table else 0) | bits_of_table - 1, 1, 0)
    if table:
        data += noise(3 << bits_of_table).tobytes()
    data += b"!\xfe\x05hello\0"
    if transparent is not None:
        data += b"!\xf9\x04" + bytes([1, 0, 0, transparent, 0])
    data += b"," + struct.pack("<HHHHB", x, y, w, h, (0x80 | bits_of_table - 1 if local else 0) | (0x40 if interlaced else 0))
    if local:
        data += noise(3 << bits_of_table).tobytes()
    # Codes of a literal each, with the table cleared before it grows.
    clear, size, acc, n, packed = 1 << bits, bits + 1, 0, 0, bytearray()
    codes = []
    for i, v in enumerate(noise(w * h, top=1 << bits)):
        if i % ((1 << bits) - 2) == 0:
            codes.append(clear)
        codes.append(int(v))
    for c in codes + [clear + 1] * end:
        acc |= c << n
        n += size
        while n >= 8:
            packed.append(acc & 255)
            acc, n = acc >> 8, n - 8
    packed.append(acc & 255)
    packed += after
    blocks = b"".join(bytes([len(packed[i : i + 255])]) + bytes(packed[i : i + 255]) for i in range(0, len(packed), 255))
    files[f"{name}.gif"] = data + bytes([bits]) + blocks + b"\0;"


def gifs():
    whole = (0, 0, W, H)
    gif("whole", (W, H), whole)
    gif("small-frame", (20, 15), (4, 3, W, H))
    gif("small-frame-clear", (20, 15), (4, 3, W, H), transparent=5)
    gif("large-frame", (5, 20), whole)
    gif("no-screen", (0, 0), whole)
    gif("outside", (5, 5), (7, 8, W, H))
    gif("clear", (W, H), whole, transparent=3)
    gif("interlaced", (W, H), whole, interlaced=True)
    gif("local", (W, H), whole, local=True)
    gif("grey", (W, H), whole, table=False)
    gif("few-colors", (W, H), whole, colors=2)
    gif("bytes-after", (W, H), whole, after=b"\1\2\3")
    gif("no-end", (W, H), whole, end=False)
    data = files["whole.gif"]
    files["cut.gif"] = data[:-20]


def webps():
    def encode(mode, **options):
        b = io.BytesIO()
        y, x = np.mgrid[0:H, 0:W]
        picture = np.stack([x * 19, y * 28, x * 9 + y * 5, 255 - x * 17], -1).astype(np.uint8)[:, :, : len(mode)]
        Image.fromarray(picture, mode).save(b, "webp", exact=True, **options)
        return b.getvalue()

    def chunks(data):
        at = 12
        while at + 8 <= len(data):
            n = struct.unpack("<I", data[at + 4 : at + 8])[0]
            if data[at : at + 4] in (b"ALPH", b"VP8 ", b"VP8L"):
                yield data[at : at + 4], data[at + 8 : at + 8 + n]
            at += 8 + n + n % 2

    def chunk(kind, body):
        return kind + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)

    def riff(*chunks):
        body = b"WEBP" + b"".join(chunks)
        return b"RIFF" + struct.pack("<I", len(body)) + body

    def u24(v):
        return struct.pack("<I", v)[:3]

    for mode in ("RGB", "RGBA"):
        for lossless in (False, True):
            data = encode(mode, lossless=lossless, quality=75)
            name = f"{mode.lower()}-{'lossless' if lossless else 'lossy'}"
            files[f"{name}.webp"] = data
            picture = b"".join(chunk(*c) for c in chunks(data))
            for flag in (0, 0x10):
                for x, y in ((0, 0), (6, 4)):
                    frame = u24(x // 2) + u24(y // 2) + u24(W - 1) + u24(H - 1) + u24(100) + b"\2" + picture
                    files[f"anim-{name}-{flag}-{x}.webp"] = riff(
                        chunk(b"VP8X", bytes([flag | 2, 0, 0, 0]) + u24(W + 7) + u24(H + 5)),
                        chunk(b"ANIM", b"\xff\x80\x40\xff\0\0"),
                        chunk(b"ANMF", frame),
                        chunk(b"ANMF", frame),
                    )
    xmp = chunk(b"XMP ", b"<tiff:Orientation>6</tiff:Orientation>")
    exif = chunk(b"EXIF", b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x04\0\0\0\x01\0\0\0\x08\0\0\0\0")
    picture = b"".join(chunk(*c) for c in chunks(encode("RGB", lossless=True)))
    for name, flags, after in (("xmp", 4, xmp), ("no-flag", 0, xmp), ("exif", 8, exif), ("both", 12, exif + xmp)):
        files[f"turned-{name}.webp"] = riff(chunk(b"VP8X", bytes([flags, 0, 0, 0]) + u24(W - 1) + u24(H - 1)), picture, after)


def lzw(data):
    out, acc, n, size = bytearray(), 0, 0, 9
    table, free = {bytes([i]): i for i in range(256)}, 258

    def put(code):
        nonlocal acc, n
        acc, n = acc << size | code, n + size
        while n >= 8:
            out.append(acc >> (n - 8) & 255)
            n -= 8
            acc &= (1 << n) - 1

    put(256)
    run = b""
    for v in data:
        if run + bytes([v]) in table:
            run += bytes([v])
            continue
        put(table[run])
        table[run + bytes([v])] = free
        free += 1
        size = max(size, free.bit_length())
        run = bytes([v])
    put(table[run])
    size = max(size, (free + 1).bit_length())
    put(257)
    out.append(acc << (8 - n) & 255)
    return bytes(out)


def packbits(data):
    out = bytearray()
    for i in range(0, len(data), 7):
        part = data[i : i + 7]
        out += bytes([257 - 5, part[0]]) if part == part[:1] * 5 else bytes([len(part) - 1]) + part
    return bytes(out)


def directory(tags, blocks, order="<", big=False, tiled=False):
    """A TIFF of tags {tag: (type, values)} and of the strips or tiles."""
    at, offsets = 16 if big else 8, []
    for b in blocks:
        offsets.append(at)
        at += len(b) + len(b) % 2
    tags = dict(tags)
    tags[324 if tiled else 273] = (4, offsets)
    tags[325 if tiled else 279] = (4, [len(b) for b in blocks])
    entries, more = b"", b""
    room, offset = (8, "Q") if big else (4, "I")
    beyond = at + ((16 + 20 * len(tags)) if big else (6 + 12 * len(tags)))
    for tag in sorted(tags):
        kind, values = tags[tag]
        if kind == 5:
            body = b"".join(struct.pack(order + "II", *v) for v in values)
        else:
            body = struct.pack(order + str(len(values)) + {1: "B", 3: "H", 4: "I"}[kind], *values)
        value = body.ljust(room, b"\0")
        if len(body) > room:
            value = struct.pack(order + offset, beyond + len(more))
            more += body + b"\0" * (len(body) % 2)
        entries += struct.pack(order + "HH" + offset, tag, kind, len(values)) + value
    sign = b"II" if order == "<" else b"MM"
    head = sign + (struct.pack(order + "HHHQ", 43, 8, 0, at) if big else struct.pack(order + "HI", 42, at))
    body = b"".join(b + b"\0" * (len(b) % 2) for b in blocks)
    count = struct.pack(order + ("Q" if big else "H"), len(tags))
    return head + body + count + entries + bytes(room) + more


def tiff(name, photometric, bits, samples, compression=1, order="<", planes=1, tile=None, rows=None, extra=None, format=None, predictor=1, reverse=False, tags={}, picture=None, big=False, cut=0):
    top = 1 << bits
    if picture is None:
        y, x = np.mgrid[0:H, 0:W]
        picture = np.stack([(x * (k + 3) + y * (5 - k)) * top // 150 for k in range(samples)], -1) % top
        picture = (picture + rng.integers(0, max(1, top // 8), picture.shape)) % top
    if photometric == 3:
        tags = {**tags, 320: (3, [int(v) for v in rng.integers(0, 1 << 16, 3 << bits)])}
    tags = {256: (3, [W]), 257: (3, [H]), 258: (3, [bits] * samples), 259: (3, [compression]), 262: (3, [photometric]), 277: (3, [samples]), **tags}
    for tag, value in ((284, planes if planes > 1 else None), (317, predictor if predictor > 1 else None), (266, 2 if reverse else None), (278, rows)):
        if value:
            tags[tag] = (3, [value])
    if extra is not None:
        tags[338] = (3, extra)
    if format:
        tags[339] = (3, [format] * samples)

    def pack(row):
        if format == 3:
            return row.astype(order + "f4").tobytes()
        if bits >= 8:
            return (row.astype(np.int64) & top - 1).astype(order + "u" + str(bits // 8)).tobytes()
        text = "".join(format_bits(int(v)) for v in row)
        text += "0" * (-len(text) % 8)
        return bytes(int(text[i : i + 8], 2) for i in range(0, len(text), 8))

    def format_bits(v):
        return f"{v:0{bits}b}"

    def block(part):
        n = part.shape[2]
        lines = part.reshape(part.shape[0], -1)
        if predictor == 2:
            lines = lines.copy()
            lines[:, n:] = (lines[:, n:] - lines[:, :-n]) % top
        raw = b"".join(pack(line) for line in lines)
        if predictor == 3:
            b = lines.astype(">f4").view(np.uint8).reshape(len(lines), -1, 4).transpose(0, 2, 1).reshape(len(lines), -1).copy()
            b[:, n:] -= b[:, :-n]
            raw = b.tobytes()
        data = {1: bytes, 5: lzw, 8: zlib.compress, 32773: packbits}[compression](raw)
        if reverse:
            data = bytes(int(f"{v:08b}"[::-1], 2) for v in data)
        return data[: len(data) - cut]

    blocks = []
    for part in [picture] if planes == 1 else [picture[:, :, k : k + 1] for k in range(samples)]:
        if tile:
            for y in range(0, H, tile):
                for x in range(0, W, tile):
                    whole = np.zeros((tile, tile, part.shape[2]), part.dtype)
                    s = part[y : y + tile, x : x + tile]
                    whole[: s.shape[0], : s.shape[1]] = s
                    blocks.append(block(whole))
        else:
            for y in range(0, H, rows or H):
                blocks.append(block(part[y : y + (rows or H)]))
    if tile:
        tags[322] = tags[323] = (3, [tile])
    files[f"{name}.tif"] = directory(tags, blocks, order, big, bool(tile))


def ycbcr(name, across, down, compression, tags={}):
    luma = noise(H, W)
    data = bytearray()
    for y in range(0, H, down):
        for x in range(0, W, across):
            data += bytes(int(luma[min(y + j, H - 1), min(x + i, W - 1)]) for j in range(down) for i in range(across)) + noise(2).tobytes()
    block = {5: lzw, 8: zlib.compress}[compression](bytes(data))
    files[f"{name}.tif"] = directory({256: (3, [W]), 257: (3, [H]), 258: (3, [8, 8, 8]), 259: (3, [compression]), 262: (3, [6]), 277: (3, [3]), 530: (3, [across, down]), **tags}, [block])


def tiffs():
    for order in "<>":
        kind = {"<": "ii", ">": "mm"}[order]
        for name, photometric, bits, samples, extra in (
            ("grey-1", 1, 1, 1, None), ("white-1", 0, 1, 1, None), ("grey-2", 1, 2, 1, None), ("white-4", 0, 4, 1, None), ("grey-8", 1, 8, 1, None), ("white-8", 0, 8, 1, None),
            ("grey-16", 1, 16, 1, None), ("grey-alpha", 1, 8, 2, [2]), ("rgb", 2, 8, 3, None), ("rgbx", 2, 8, 4, [0]), ("rgba", 2, 8, 4, [2]), ("premultiplied", 2, 8, 4, [1]),
            ("four", 2, 8, 4, None), ("six", 2, 8, 6, [1, 0, 0]), ("rgb-16", 2, 16, 3, None), ("premultiplied-16", 2, 16, 4, [1]), ("palette-1", 3, 1, 1, None), ("palette-4", 3, 4, 1, None),
            ("palette-8", 3, 8, 1, None), ("palette-alpha", 3, 8, 2, [2]), ("cmyk", 5, 8, 4, None), ("cmykx", 5, 8, 5, [0]), ("cmyk-16", 5, 16, 4, None), ("lab", 8, 8, 3, None),
        ):  # fmt: skip
            tiff(f"{name}-{kind}", photometric, bits, samples, 1, order, extra=extra)
            tiff(f"{name}-{kind}-packed", photometric, bits, samples, random.choice((5, 8, 32773)), order, tile=random.choice((None, 16)), rows=random.choice((None, 4)), extra=extra)
        for compression in (5, 8):
            tiff(f"predicted-{kind}-{compression}", 2, 8, 3, compression, order, predictor=2, rows=4)
            tiff(f"predicted-16-{kind}-{compression}", 2, 16, 3, compression, order, predictor=2, tile=16)
        tiff(f"planes-{kind}", 2, 8, 3, 8, order, planes=2, rows=4)
        tiff(f"planes-16-{kind}", 2, 16, 4, 5, order, planes=2, tile=16, extra=[2])
        tiff(f"int-16-{kind}", 1, 16, 1, 1, order, format=2, picture=rng.integers(-300, 600, (H, W, 1)))
        tiff(f"int-32-{kind}", 1, 32, 1, 1, order, format=2, picture=rng.integers(-300, 600, (H, W, 1)))
        tiff(f"float-{kind}", 1, 32, 1, 1, order, format=3, picture=rng.uniform(-40, 300, (H, W, 1)))
    tiff("uint-32", 1, 32, 1, picture=rng.integers(0, 1 << 32, (H, W, 1)))
    tiff("float-planes", 1, 32, 1, 8, format=3, predictor=3, picture=rng.uniform(-40, 300, (H, W, 1)))
    tiff("reversed", 1, 1, 1, reverse=True)
    tiff("reversed-packed", 2, 8, 3, 8, reverse=True)
    tiff("big", 2, 8, 3, big=True)
    for n in range(1, 10):
        tiff(f"turned-{n}", 2, 8, 3, (1, 5)[n % 2], tags={274: (3, [n])})
    tiff("turned-grey", 1, 8, 1, 8, tags={274: (3, [6])})
    tiff("turned-palette", 3, 4, 1, 8, tags={274: (3, [5])})
    tiff("turned-rgba", 2, 8, 4, 8, extra=[2], tags={274: (3, [8])})
    tiff("turned-long", 2, 8, 3, tags={274: (4, [6])})
    tiff("turned-xmp", 2, 8, 3, tags={700: (1, b'<a tiff:Orientation="8">')})
    for compression in (1, 5, 8, 32773):
        tiff(f"cut-{compression}", 2, 8, 3, compression, cut=9)
    for across, down in ((1, 1), (2, 1), (2, 2), (1, 2), (4, 2), (4, 4)):
        ycbcr(f"ycbcr-{across}{down}", across, down, 8)
    ycbcr("ycbcr-709", 1, 1, 5, {529: (5, [(2126, 10000), (7152, 10000), (722, 10000)])})
    ycbcr("ycbcr-video", 2, 2, 8, {532: (5, [(16, 1), (235, 1), (128, 1), (240, 1), (128, 1), (240, 1)])})
    y, x = np.mgrid[0:H, 0:W]
    picture = Image.fromarray(np.stack([x * 19, y * 28, x * 9 + y * 5], -1).astype(np.uint8))
    for mode in ("L", "RGB", "YCbCr", "CMYK"):
        for size in (None, 8 * W):
            b = io.BytesIO()
            picture.convert(mode).save(b, "tiff", compression="jpeg", quality=90, **({"strip_size": size} if size else {}))
            files[f"jpeg-{mode.lower()}-{size or 0}.tif"] = b.getvalue()
    for name, options in (("group3", 0), ("group3", 1), ("group3", 5), ("group4", 0), ("tiff_ccitt", 0)):
        for kind, picture in (("noise", noise(H, W)), ("stripes", (x * 3 + y * 5) // 9 % 2 * 255)):
            b = io.BytesIO()
            Image.fromarray(picture.astype(np.uint8)).convert("1").save(b, "tiff", compression=name, tiffinfo={292: options} if options else {})
            files[f"{name}-{options}-{kind}.tif"] = b.getvalue()


def truth(data):
    try:
        picture = Image.open(io.BytesIO(data))
        picture.load()
        picture = ImageOps.exif_transpose(picture)
        if picture.mode.startswith("I;16"):
            picture = Image.fromarray((np.asarray(picture).astype(np.uint16) >> 8).astype(np.uint8))
        return picture.convert("RGB")
    except Exception:
        return None


def main(path):
    for make in (bmps, pngs, gifs, webps, tiffs):
        make()
    with open(path, "wb") as f, gzip.GzipFile("", "wb", 9, f, 0) as z, tarfile.open(fileobj=z, mode="w", format=tarfile.USTAR_FORMAT) as t:

        def add(name, data):
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            t.addfile(entry, io.BytesIO(data))

        for name, data in files.items():
            add(name, data)
            if picture := truth(data):
                add(f"{name}.ppm", b"P6 %d %d 255\n" % picture.size + picture.tobytes())
            else:
                print(name, "is refused")


main(sys.argv[1])
