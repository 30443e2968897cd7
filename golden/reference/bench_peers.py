#!/usr/bin/env python3
"""Races compiled models against ONNX Runtime and OpenVINO on ONNX files: same weights, same machine, by turns.

    python3 bench_peers.py --multiway bin/multiway --preset clip-vit-base-patch32 --out bin/peers.json

Needs Linux and the packages that the Makefile lists for bench-peers. Nothing is read from outside.

Models. Weights of a BEiT-3 preset are random by a seed, and the other engines run what `multiway export --onnx` writes. A model of two
towers is made by transformers' class with random weights and saved as on the model hub, config.json and model.safetensors; the binary is
built from that file by `multiway init` and `multiway build`, and the other engines run what torch.onnx writes of the same module, with texts
of fixed length as programs for photos export it: 77 ids in CLIP, of which the binary computes those up to the end token, and 64 in SigLIP.
`emoji` is the demo model, whose weights are trained.

Photos. A BEiT-3 model also embeds folders of JPEGs, made by a seed: from files to vectors, on all of the threads, by `embed` of the binary, start
of the process included, and by Pillow and ONNX Runtime in Python, start excluded, in whichever of ARRANGEMENTS is the fastest for a folder
before the race. Vectors at f32 must be the same.

Sides. Each engine runs f32 and int8. The binary's int8 is as `multiway build --precision int8` chooses it at the default bound of the
cosine, and at the bound 0.9967. ONNX Runtime's is quantize_dynamic's with weights int8 by output column, also with reduce_range, which its
documentation advises for CPUs without VNNI, where sums of products saturate otherwise. OpenVINO's is NNCF's for transformers, calibrated on
16 inputs by a seed, of the demo on drawings. All engines are told the shapes of inputs.

Time. Processes of the sides run alternately, --processes of each for each number of threads. Every process times every workload for --time
seconds, at least three calls; a workload's time is the median over the processes of their medians. Start to first result and peak memory
are of processes that make one call and end, Python and its imports included. Before the first, between and after the last, the peak of
multiply-adds and the bandwidth of memory are measured.

Accuracy. Of every embedding (4 pictures, and a text of each length that is raced): its cosine to the embedding in float64, which is the f32
ONNX file with every number converted to float64, run by onnx.reference in NumPy. The least one counts. The race stops unless it is over
0.9999 at f32, and unless the file's embeddings are PyTorch's where PyTorch has the model. Recall, of the demo, is how often a name finds its
drawing among all held-out ones, and a drawing its name, as `emoji eval` counts.

Writes --out, every number as JSON, of which golden/peers makes tables, a picture and README's part. Earlier runs in it stay, without the
models that this run raced again; it is written after every process of all sides. --work keeps models and binaries for the next run with the same compiler. Run it on a machine that does
nothing else.
"""
import argparse
import concurrent.futures
import functools
import glob
import hashlib
import json
import logging
import os
import platform
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from typing import NamedTuple, Optional

# Lengths of 32 texts, 16 ids on average: as searches are, and with one long text among them.
MIXED = [4, 4, 5, 5, 6, 6, 7, 8, 8, 9, 9, 10, 10, 11, 12, 12, 13, 14, 15, 16, 17, 18, 19, 20, 22, 24, 26, 28, 31, 36, 40, 47]


class Workload(NamedTuple):
    name: str
    label: str
    entry: str                     # function of the binary, and what the ONNX file is called
    texts: Optional[list] = None   # lengths of the texts
    padded: Optional[int] = None   # length that the other engines pad them to
    batch: int = 1                 # inputs of a call
    int8: bool = True              # whether it is raced at int8 too
    first: bool = False            # whether the first result of a process is timed


def pictures(entry, what):
    return [Workload("vision", f"a {what}", entry, first=True), Workload("vision8", f"8 {what}s a call", entry, batch=8)]


BEIT3 = pictures("vision", "picture") + [
    Workload("text16", "a text of 16 ids", "language", [16], first=True),
    Workload("pair64", "a picture and a text of 64 ids", "pair", [64]),
    Workload("mixed", f"32 texts of 4 to {MIXED[-1]} ids, elsewhere padded to the longest", "language", MIXED, MIXED[-1], 32, int8=False),
]
CLIP = pictures("vision", "picture") + [
    Workload("text10", "a text of 10 ids, elsewhere padded to 77", "language", [10], 77, first=True),
    Workload("text77", "a text of 77 ids", "language", [77], 77),
]
SIGLIP = pictures("vision", "picture") + [Workload("text64", "a text of 64 ids", "language", [64], 64, first=True)]
DEMO = pictures("vision_retrieval", "drawing") + [Workload("text8", "a name of 8 ids", "language_retrieval", [8], first=True)]

# Models of two towers by their presets: workloads, transformers' model and configuration, and the size of patches. All else is as the
# configuration has it by itself, which is base size and pictures of 224 pixels.
TOWERS = {
    "clip-vit-base-patch32": (CLIP, "CLIPModel", "CLIPConfig", 32),
    "clip-vit-base-patch16": (CLIP, "CLIPModel", "CLIPConfig", 16),
    "siglip-base-patch16-224": (SIGLIP, "SiglipModel", "SiglipConfig", 16),
}
EMOJI = "emoji"


class Side(NamedTuple):
    engine: str
    int8: bool
    suffix: str     # of its files
    more: list = [] # lines of the binary's description


ORT, OV, OURS = "ONNX Runtime", "OpenVINO", "multiway"
BOUND = "0.9967"  # that ONNX Runtime's int8 reaches with reduce_range
SIDES = {
    OURS + " f32": Side(OURS, False, ""),
    ORT + " f32": Side(ORT, False, ""),
    OV + " f32": Side(OV, False, ""),
    OURS + " int8": Side(OURS, True, "-int8", ["precision: int8"]),
    OURS + f" int8 (cosine {BOUND})": Side(OURS, True, "-bound", ["precision: int8", "cosine: " + BOUND]),
    ORT + " int8": Side(ORT, True, "-int8"),
    ORT + " int8 (reduce_range)": Side(ORT, True, "-reduced"),
    OV + " int8": Side(OV, True, "-nncf"),
}
SAME = 0.9999  # least cosine of embeddings that are the same at f32


class Folder(NamedTuple):
    name: str
    label: str
    size: tuple  # width and height
    count: int   # a multiple of BATCH


FOLDERS = [
    Folder("photos12m", "a JPEG of 12 megapixels", (4000, 3000), 24),
    Folder("photos512", "a JPEG of 512 x 512", (512, 512), 200),
    Folder("photos64", "a JPEG of 64 x 64", (64, 64), 200),
]
BATCH = 8

# Ways to share out N threads in Python, and what they are called in tables.
ARRANGEMENTS = {
    "processes": "N processes of 1 thread",
    "threads": "N Python threads with a session of 1 thread",
    "batches": f"N Python threads that decode, and batches of {BATCH} on N threads",
}


def folders(model, only=None):
    return [] if model in TOWERS or model == EMOJI else [f for f in FOLDERS if only is None or f.name in only]


def workloads(model, only=None, int8=False):
    all_ = TOWERS[model][0] if model in TOWERS else DEMO if model == EMOJI else BEIT3
    return [w for w in all_ if (only is None or w.name in only) and (w.int8 or not int8)]


def run(cmd, feed=None):
    p = subprocess.run(cmd, capture_output=True, text=True, input=feed)
    if p.returncode:
        sys.exit(f"{' '.join(cmd)}\n{p.stderr}{p.stdout}")
    return p.stdout


def say(*words):
    print(*words, file=sys.stderr, flush=True)


# ---------------------------------------------------------------- the other engines

def load(engine, path, threads, shapes=None):
    """The function that computes the first output of a model file. With shapes, of inputs by their names, it takes these alone."""
    if engine == ORT:
        import onnxruntime
        o = onnxruntime.SessionOptions()
        o.intra_op_num_threads, o.inter_op_num_threads = threads, 1
        o.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        for shape in (shapes or {}).values():
            o.add_free_dimension_override_by_name("N", shape[0])
            if len(shape) == 2:
                o.add_free_dimension_override_by_name("T", shape[1])
        s = onnxruntime.InferenceSession(path, o, providers=["CPUExecutionProvider"])
        return lambda feeds: s.run(None, feeds)[0]
    import openvino
    core = openvino.Core()
    m = core.read_model(path)
    if shapes:
        m.reshape(shapes)
    m = core.compile_model(m, "CPU", {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"})
    r = m.create_infer_request()
    return lambda feeds: r.infer(feeds, share_inputs=True)[0].copy()


def file(folder, entry, side):
    return os.path.join(folder, entry + side.suffix + (".xml" if side.suffix == "-nncf" else ".onnx"))


def random_feeds(w, sizes, rng):
    """Inputs of a workload for the other engines: sizes has vocab and image, the shape of a picture."""
    import numpy as np
    feeds = {}
    if w.entry.startswith(("vision", "pair")):
        feeds["image"] = rng.uniform(-1, 1, [w.batch] + sizes["image"]).astype(np.float32)
    if w.texts is not None:
        feeds["ids"] = rng.integers(0, sizes["vocab"], (w.batch, w.padded or w.texts[0]))
    return feeds


def worker(o):
    """Times the workloads in this process and prints the medians in ms as JSON; with --once it makes the first call and ends."""
    import numpy as np
    side = SIDES[o.worker]
    with open(os.path.join(o.models, "sizes.json")) as f:
        sizes = json.load(f)

    def prepare(w):
        feeds, name = random_feeds(w, sizes, np.random.default_rng(1)), w.entry
        if len(w.texts or []) > 1:
            feeds["attention_mask"] = (np.arange(w.padded)[None, :] < np.array(w.texts)[:, None]).astype(np.int64)
            name += "-mask"
        call = load(side.engine, file(o.models, name, side), o.threads, {k: list(x.shape) for k, x in feeds.items()})
        return lambda: call(feeds)

    chosen = workloads(o.preset, o.workloads, side.int8)
    if o.once:
        prepare(next(w for w in chosen if w.name == o.once))()
        with open("/proc/self/status") as f:
            print(json.dumps({"peak_memory_mb": next(int(line.split()[1]) for line in f if line.startswith("VmHWM:")) / 1024}))
        return
    medians = {}
    for w in chosen:
        call = prepare(w)
        call()
        times, start = [], time.perf_counter()
        while len(times) < 3 or time.perf_counter() - start < o.time:
            at = time.perf_counter()
            call()
            times.append((time.perf_counter() - at) * 1e3)
        medians[w.name] = statistics.median(times)
    print(json.dumps(medians))


def embed_with(path):
    """Embeds a file in a process of the arrangement "processes"."""
    return embed_with.call({"image": photo(path, embed_with.side)})[0]


def begin_embedding(engine, model, shape):
    embed_with.call, embed_with.side = load(engine, model, 1, {"image": [1] + shape}), shape[-1]


def photo(path, side):
    import numpy as np
    from PIL import Image
    with Image.open(path) as f:
        return tensor(np.asarray(f.convert("RGB").resize((side, side), Image.BICUBIC)))


def embed(o):
    """Embeds the pictures of a folder in an arrangement, saves the vectors and prints the time in ms a picture as JSON."""
    import numpy as np
    side = SIDES[o.worker]
    with open(os.path.join(o.models, "sizes.json")) as f:
        shape = json.load(f)["image"]
    model = file(o.models, "vision_retrieval", side)
    paths = [os.path.join(o.photos, name) for name in sorted(os.listdir(o.photos))]
    if o.arrangement == "processes":
        pool = concurrent.futures.ProcessPoolExecutor(o.threads, initializer=begin_embedding, initargs=(side.engine, model, shape))
        every = lambda paths: list(pool.map(embed_with, paths))
    else:
        pool = concurrent.futures.ThreadPoolExecutor(o.threads)
        if o.arrangement == "threads":
            call = load(side.engine, model, 1, {"image": [1] + shape})
            every = lambda paths: list(pool.map(lambda path: call({"image": photo(path, shape[-1])})[0], paths))
        else:
            call = load(side.engine, model, o.threads, {"image": [BATCH] + shape})

            def every(paths):
                tensors = pool.map(lambda path: photo(path, shape[-1]), paths)
                return [v for _ in range(len(paths) // BATCH) for v in call({"image": np.concatenate([next(tensors) for _ in range(BATCH)])})]

    with pool:
        every(paths[:BATCH])
        at = time.perf_counter()
        vectors = every(paths)
        ms = (time.perf_counter() - at) * 1e3 / len(paths)
    np.save(o.vectors, np.array(vectors))
    print(json.dumps(ms))


# ---------------------------------------------------------------- models

def bitmap(path, pixels):
    """Writes u8 [height, width, 3], whose width is a multiple of 4, as BMP."""
    with open(path, "wb") as f:
        f.write(struct.pack("<2sIHHIIiiHHIIiiII", b"BM", 54 + pixels.size, 0, 0, 54, 40, pixels.shape[1], -pixels.shape[0], 1, 24, 0, 0, 0, 0, 0, 0))
        f.write(pixels[:, :, ::-1].tobytes())


def tensor(pixels):
    """A picture as models take it: [1, 3, height, width] in -1 to 1."""
    import numpy as np
    return (pixels.transpose(2, 0, 1)[None] / 127.5 - 1).astype(np.float32)


def exact(path):
    """The function that computes the first output of an ONNX file with every number as float64."""
    import numpy as np
    import onnx
    from onnx.reference import ReferenceEvaluator
    m = onnx.load(path)
    f32, f64 = onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE

    def widen(t):
        if t.data_type == f32:
            t.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(t).astype(np.float64), t.name))

    for t in m.graph.initializer:
        widen(t)
    for node in m.graph.node:
        for a in node.attribute:
            if a.HasField("t"):
                widen(a.t)
            if node.op_type == "Cast" and a.name == "to" and a.i == f32:
                a.i = f64
    for x in m.graph.input:
        if x.type.tensor_type.elem_type == f32:
            x.type.tensor_type.elem_type = f64
    del m.graph.value_info[:]
    s = ReferenceEvaluator(m)
    return lambda feeds: s.run(None, {k: x.astype(np.float64) if x.dtype == np.float32 else x for k, x in feeds.items()})[0]


def cosine(a, b):
    import numpy as np
    a, b = np.asarray(a, np.float64).ravel(), np.asarray(b, np.float64).ravel()
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


class Model:
    """A model to race: its name, its binaries and ONNX files in a folder, and what the race measured."""

    def __init__(self, o, name, folder):
        self.o, self.name, self.folder, self.onnx = o, name, folder, os.path.join(folder, "models")
        self.data = {"name": name, "workloads": [{"name": w.name, "label": w.label, "inputs": w.batch} for w in workloads(name, o.workloads)],
                     "times_ms": {}, "first_ms": {}, "memory_mb": {}, "cosine": {}}
        self.data["photos"] = {"folders": [{"name": f.name, "label": f.label, "inputs": 1} for f in folders(name, o.workloads)], "ms": {}, "arranged": {}}
        os.makedirs(self.onnx, exist_ok=True)
        self.description = os.path.join(folder, "model.yaml")
        self.embedding = {"vision": "vision_retrieval", "language": "language_retrieval"}  # functions that compute embeddings
        if name in TOWERS:
            self.embedding = {"vision": "vision", "language": "language"}
            self.once("towers", self.towers)
        elif name == EMOJI:
            self.once("demo", self.demo)
        else:
            self.once("preset", self.preset)
        for side in o.sides.values():
            say(f"{name}: making {side.engine}{side.suffix}")
            if side.engine == OURS:
                self.build(side)
            elif side.int8:
                self.once(side.suffix, lambda: self.quantise(side))

    def once(self, what, make):
        """Makes something that is not there from an earlier run."""
        mark = os.path.join(self.folder, "made" + what)
        if not os.path.exists(mark):
            make()
            open(mark, "w").close()

    def path(self, side):
        return os.path.join(self.folder, self.o.version + side.suffix)

    def build(self, side):
        if os.path.exists(self.path(side)):
            return
        description = self.description + side.suffix + ".yaml"
        with open(self.description) as f, open(description, "w") as out:
            out.write(f.read() + "".join(line + "\n" for line in side.more))
        run([self.o.multiway, "build", "--check", "off", "--binary", self.path(side), description])

    def sizes(self, image):
        """Writes what workers have to know of inputs."""
        vocab = json.loads(run([self.path(SIDES[OURS + " f32"]), "info", "--json"]))["vocab"]
        with open(os.path.join(self.onnx, "sizes.json"), "w") as f:
            json.dump({"vocab": vocab, "image": [3, image, image]}, f)
        return vocab

    def preset(self):
        with open(self.description, "w") as f:
            f.write(f"model: 1\npreset: {self.name}\nseed: 1\ntasks: [encode, retrieval]\n"
                    "preprocess: {resize: stretch, alpha: drop, mean: [0.5], std: [0.5]}\n")
        run([self.o.multiway, "export", "--onnx", self.onnx, self.description])
        run([self.o.multiway, "export", "--onnx", os.path.join(self.onnx, "language-mask.onnx"), "--mask", "--entry", "language", self.description])
        self.build(SIDES[OURS + " f32"])
        self.sizes(224)

    def demo(self):
        here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "generated", "emoji")
        shutil.copytree(os.path.join(here, "source"), os.path.join(self.folder, "source"), dirs_exist_ok=True)
        with open(os.path.join(here, "emoji.yaml")) as f, open(self.description, "w") as out:
            out.write("".join(line for line in f if not line.startswith(("precision:", "cosine:"))))
        run([self.o.multiway, "export", "--onnx", self.onnx, self.description])
        self.build(SIDES[OURS + " f32"])
        self.sizes(64)

    def towers(self):
        """Makes the module, its checkpoint and the ONNX files."""
        import numpy as np
        import torch
        import transformers
        _, kind, configuration, patch = TOWERS[self.name]
        torch.manual_seed(1)
        module = getattr(transformers, kind)(getattr(transformers, configuration)(text_config={}, vision_config={"patch_size": patch})).eval()
        see, read = module.config.vision_config, module.config.text_config
        with torch.no_grad():
            for p in module.parameters():
                if p.dim() == 1:  # biases and norms, which the class sets to 0 and 1
                    p += 0.05 * torch.randn_like(p)
        module.save_pretrained(self.folder)
        run([self.o.multiway, "init", "--force", "--heads", str(see.num_attention_heads), "--text-heads", str(read.num_attention_heads),
             "-o", self.description, os.path.join(self.folder, "model.safetensors")])
        with open(self.description) as f:
            lines = [line for line in f if not line.startswith("preprocess:")]
        with open(self.description, "w") as f:
            f.write("".join(lines) + "preprocess: {resize: stretch, alpha: drop, mean: [0.5], std: [0.5]}\n")
        self.build(SIDES[OURS + " f32"])
        vocab = self.sizes(see.image_size)

        class Entry(torch.nn.Module):
            def __init__(self, features, argument):
                super().__init__()
                self.module, self.features, self.argument = module, features, argument

            def forward(self, x):
                return torch.nn.functional.normalize(getattr(self.module, self.features)(**{self.argument: x}), dim=-1)

        rng = np.random.default_rng(3)
        length = workloads(self.name)[-1].padded
        ids = rng.integers(0, vocab - 1, (2, length))
        ids[:, -1] = vocab - 1  # the end token
        for entry, name, features, argument, x in [
                ("vision", "image", "get_image_features", "pixel_values", rng.uniform(-1, 1, (2, 3, see.image_size, see.image_size)).astype(np.float32)),
                ("language", "ids", "get_text_features", "input_ids", ids)]:
            e, path = Entry(features, argument).eval(), os.path.join(self.onnx, entry + ".onnx")
            with torch.no_grad():
                want = e(torch.from_numpy(x)).numpy()
                torch.onnx.export(e, (torch.from_numpy(x),), path, input_names=[name], output_names=["embeds"], external_data=False, verbose=False,
                                  dynamic_shapes=({0: "N"},))
            if not cosine(load(ORT, path, 1)({name: x}), want) > SAME:
                sys.exit(f"{self.name}: {entry}.onnx computes other embeddings than PyTorch")

    def quantise(self, side):
        entries = {w.entry for w in workloads(self.name, int8=True)} | set(self.embedding.values())
        for entry in sorted(entries):
            source, target = os.path.join(self.onnx, entry + ".onnx"), file(self.onnx, entry, side)
            if side.engine == OV:
                import nncf
                import openvino
                nncf.set_log_level(logging.ERROR)
                model = openvino.Core().read_model(source)
                inputs = {x.any_name for x in model.inputs}
                data = nncf.Dataset([{k: x for k, x in f.items() if k in inputs} for f in self.calibration(entry)])
                model = nncf.quantize(model, data, model_type=nncf.ModelType.TRANSFORMER, subset_size=16)
                openvino.save_model(model, target, compress_to_fp16=False)
                continue
            from onnxruntime.quantization import QuantType, quantize_dynamic
            from onnxruntime.quantization.registry import IntegerOpsRegistry
            logging.disable(logging.WARNING)  # it advises shape inference, which makes these models no faster
            # It has no kernel for convolutions with weights of int8.
            quantize_dynamic(source, target, per_channel=True, reduce_range=side.suffix == "-reduced", weight_type=QuantType.QInt8,
                             op_types_to_quantize=[op for op in IntegerOpsRegistry if op != "Conv"], extra_options={"MatMulConstBOnly": True})

    def calibration(self, entry):
        """Sixteen inputs of a function by a seed; of the demo every 120th drawing and its name."""
        import numpy as np
        if self.name == EMOJI:
            drawings, texts = self.heldout
            return [{"image": tensor(drawings[i])} if entry.startswith("vision") else {"ids": texts[i]} for i in range(0, 1914, 120)]
        with open(os.path.join(self.onnx, "sizes.json")) as f:
            sizes = json.load(f)
        w, rng = next(w for w in workloads(self.name, int8=True)[::-1] if w.entry == entry or self.embedding.get(w.entry) == entry), np.random.default_rng(4)
        return [random_feeds(w._replace(batch=1), sizes, rng) for _ in range(16)]

    # ------------------------------------------------------------ photos

    def draw(self, f):
        """Makes the JPEGs of a folder, with detail at all scales as photos have."""
        import numpy as np
        from PIL import Image
        rng, (width, height) = np.random.default_rng(5), f.size
        path = os.path.join(self.folder, f.name)
        os.makedirs(path, exist_ok=True)
        for i in range(f.count):
            pixels = np.full((height, width, 3), 128, np.float32)
            for columns, amplitude in ((16, 80), (64, 40), (256, 25), (1000, 12)):
                if columns < width:
                    small = rng.standard_normal((columns * height // width + 1, columns, 3)).astype(np.float32)
                    pixels += amplitude * np.stack([np.asarray(Image.fromarray(small[..., c]).resize(f.size, Image.BICUBIC)) for c in range(3)], -1)
            Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(os.path.join(path, f"{i:03}.jpg"), quality=88, subsampling=2 if i % 2 else 0)

    def embed(self, name, f, arrangement=None):
        """The time of a side for a picture of a folder in ms, and the vectors."""
        import numpy as np
        side, n = SIDES[name], str(max(self.o.threads))
        path, vectors = os.path.join(self.folder, f.name), os.path.join(self.folder, "vectors.npy")
        for old in glob.glob(os.path.join(self.folder, "vectors.*")):  # also of a run that was stopped
            os.remove(old)
        if side.engine == OURS:
            at = time.perf_counter()
            run([self.path(side), "embed", "--threads", n, "--image", path, "-o", vectors])
            ms = (time.perf_counter() - at) * 1e3 / f.count
        else:
            ms = json.loads(run([sys.executable, os.path.abspath(__file__), "--worker", name, "--models", self.onnx, "--threads", n,
                                 "--photos", path, "--arrangement", arrangement, "--vectors", vectors]))
        return ms, np.load(vectors)

    def arrange(self):
        """Makes the photos, and finds each side's fastest arrangement for a folder."""
        self.arrangement = {}
        for f in folders(self.name, self.o.workloads):
            self.once(f.name, lambda: self.draw(f))
            same = {}
            for name, side in self.o.sides.items():
                if side.engine == OURS:
                    _, vectors = self.embed(name, f)
                elif side.engine == ORT:
                    times = {a: self.embed(name, f, a) for a in ARRANGEMENTS}
                    best = min(times, key=lambda a: times[a][0])
                    vectors = times[best][1]
                    self.arrangement[name, f] = best
                    words = ARRANGEMENTS[best].replace("N", str(max(self.o.threads)))
                    self.data["photos"]["arranged"].setdefault(name, {})[f.name] = words
                    say(f"{self.name}: {name}, {f.label}: {words}, of " + ", ".join(f"{a} {ms:.1f} ms" for a, (ms, _) in times.items()))
                else:
                    continue
                if not side.int8:
                    same[name] = vectors
            for name, vectors in same.items():
                least = min(map(cosine, vectors, next(iter(same.values()))))
                if not least > SAME:
                    sys.exit(f"{self.name}: {name} embeds {f.label} differently: cosine {least}")

    # ------------------------------------------------------------ accuracy

    @functools.cached_property
    def heldout(self):
        """The held-out drawings of the demo over white, as its description has it, u8 [64, 64, 3], and their names as ids [1, T]."""
        import numpy as np
        import sentencepiece
        from PIL import Image
        source = os.path.join(self.folder, "source")
        with open(os.path.join(source, "heldout_index.json")) as f:
            index = json.load(f)
        side, columns = index["tile"], index["columns"]
        with Image.open(os.path.join(source, "heldout_sheet.png")) as f:
            sheet = np.asarray(f.convert("RGBA")).astype(np.uint32)
        sheet = ((sheet[..., :3] * sheet[..., 3:] + 255 * (255 - sheet[..., 3:]) + 127) // 255).astype(np.uint8)
        drawings = [sheet[i // columns * side:][:side, i % columns * side:][:, :side] for i in range(len(index["items"]))]
        pieces = sentencepiece.SentencePieceProcessor(model_file=os.path.join(source, "emoji.spm"))
        self.names = [x["name"] for x in index["items"]]
        return drawings, [np.array([[0] + [i + 1 for i in pieces.encode(name)][:22] + [2]]) for name in self.names]

    def accuracy(self):
        """Keeps the least cosine of each side's embeddings to those in float64, by modality, and the demo's recall."""
        path = os.path.join(self.folder, self.o.version + "-accuracy.json")
        known = {}
        if os.path.exists(path):
            with open(path) as f:
                known = json.load(f)
        missing = {name: side for name, side in self.o.sides.items() if name not in known}
        if missing:
            self.cosines(missing, known)
            with open(path, "w") as f:
                json.dump(known, f)
        self.data["cosine"] = {name: known[name]["cosine"] for name in self.o.sides}
        if self.name == EMOJI:
            self.data["recall"] = {name: known[name]["recall"] for name in self.o.sides}

    def cosines(self, sides, known):
        import numpy as np
        with open(os.path.join(self.onnx, "sizes.json")) as f:
            sizes = json.load(f)
        rng, probes = np.random.default_rng(2), {"vision": [], "language": []}
        for i in range(4):
            pixels = rng.integers(0, 256, sizes["image"][1:] + [3], dtype=np.uint8)
            if self.name == EMOJI:
                pixels = self.heldout[0][400 * i]
            bmp = os.path.join(self.folder, f"picture{i}.bmp")
            bitmap(bmp, pixels)
            probes["vision"].append(({"image": tensor(pixels)}, [bmp]))
        for w in workloads(self.name):
            if len(w.texts or []) != 1:
                continue
            ids = rng.integers(4, sizes["vocab"] - 1, w.texts[0] - 1).tolist() + [sizes["vocab"] - 1]  # the largest is CLIP's end token
            probes["language"].append(({"ids": np.array([ids + [0] * ((w.padded or len(ids)) - len(ids))])}, ["--ids", ",".join(map(str, ids))]))
        for modality, list_ in probes.items():
            reference = exact(os.path.join(self.onnx, self.embedding[modality] + ".onnx"))
            want = [reference(feeds) for feeds, _ in list_]
            for name, side in sides.items():
                if side.engine == OURS:
                    got = [json.loads(run([self.path(side), "embed", "--json"] + args))["embedding"] for _, args in list_]
                else:
                    call = load(side.engine, file(self.onnx, self.embedding[modality], side), 1)
                    got = [call(feeds) for feeds, _ in list_]
                least = min(map(cosine, got, want))
                say(f"{self.name}: {name}, {modality}: least cosine to float64 {least:.6f}")
                if not side.int8 and not least > SAME:
                    sys.exit(f"{self.name}: {name} computes other embeddings than float64")
                known.setdefault(name, {"cosine": {}})["cosine"][modality] = least
        if self.name == EMOJI:
            for name, side in sides.items():
                known[name]["recall"] = self.recall(side)

    def recall(self, side):
        """The shares of names whose drawing is the nearest, and of drawings whose name is."""
        import numpy as np
        drawings, texts = self.heldout
        if side.engine == OURS:
            folder = os.path.join(self.folder, "drawings")
            os.makedirs(folder, exist_ok=True)
            for i, pixels in enumerate(drawings):
                bitmap(os.path.join(folder, f"{i:04}.bmp"), pixels)
            out = os.path.join(self.folder, "embeddings.npy")
            run([self.path(side), "embed", "--image", folder, "-o", out])
            a = np.load(out)
            run([self.path(side), "embed", "--text", "-o", out, "-"], "".join(name + "\n" for name in self.names))
            b = np.load(out)
        else:
            call = load(side.engine, file(self.onnx, self.embedding["vision"], side), 1)
            a = np.array([call({"image": tensor(x)}).ravel() for x in drawings])
            call = load(side.engine, file(self.onnx, self.embedding["language"], side), 1)
            b = np.array([call({"ids": x}).ravel() for x in texts])

        def share(queries, candidates):
            s = queries.astype(np.float64) @ candidates.astype(np.float64).T
            own = s.diagonal()[:, None]
            return float((((s > own).sum(1) + ((s == own).sum(1) - 1) / 2) < 1).mean())  # ties share the mean of their ranks

        return {"text_to_image": share(b, a), "image_to_text": share(a, b)}


# ---------------------------------------------------------------- the race

def timed(cmd):
    """Milliseconds from the start of a process to its end, and the peak memory in MB that it printed."""
    at = time.perf_counter()
    out = run(cmd)
    return (time.perf_counter() - at) * 1e3, json.loads(out)["peak_memory_mb"]


def ours(o, model, side, threads, w):
    cmd = [model.path(side), "bench", "--json", "--threads", str(threads), "--entry", w.entry]
    if len(w.texts or []) > 1:
        return cmd + ["--lengths", ",".join(map(str, w.texts))]
    return cmd + ["--batch", str(w.batch)] + (["--tokens", str(w.texts[0])] if w.texts else [])


def peer(o, model, name, threads):
    return [sys.executable, os.path.abspath(__file__), "--worker", name, "--preset", model.name, "--models", model.onnx, "--threads", str(threads),
            "--time", str(o.time)] + (["--workloads", ",".join(o.workloads)] if o.workloads else [])


def measure(o, model, name, threads):
    """The median of every workload in ms."""
    side = SIDES[name]
    if side.engine != OURS:
        return json.loads(run(peer(o, model, name, threads)))
    return {w.name: json.loads(run(ours(o, model, side, threads, w) + ["--time", f"{o.time}s"]))["results"][0]["median_ms"]
            for w in workloads(model.name, o.workloads, side.int8)}


def first(o, model, name, threads, w):
    side = SIDES[name]
    return timed(ours(o, model, side, threads, w) + ["--once"] if side.engine == OURS else peer(o, model, name, threads) + ["--once", w.name])


def race(o, models, machine, save):
    """Adds to the data of the models: by side, threads and workload a list over the processes. After each process of all it saves."""
    def state(when):
        w = next(w for w in workloads(models[0].name) if w.texts)
        for threads in o.threads:
            report = json.loads(run(ours(o, models[0], SIDES[OURS + " f32"], threads, w) + ["--time", "1ms"]))
            machine.update(cpu=report["cpu"], cores=report["cores"])
            machine["peaks"].append({"when": when, "threads": threads, "fma_gflops": report["fma_peak_gflops"][str(threads)], "read_gbps": report["read_gbps"][str(threads)]})

    def add(model, kind, name, threads, key, value):
        model.data[kind].setdefault(name, {}).setdefault(str(threads), {}).setdefault(key, []).append(value)

    state("before")
    for i in range(o.processes):
        for threads in o.threads:
            for model in models:
                for name in list(o.sides)[::-1] if i % 2 else o.sides:
                    say(f"process {i + 1} of {o.processes}, {threads} threads, {model.name}: {name}")
                    for key, ms in measure(o, model, name, threads).items():
                        add(model, "times_ms", name, threads, key, ms)
                    for w in workloads(model.name, o.workloads):
                        if w.first:
                            ms, mb = first(o, model, name, threads, w)
                            add(model, "first_ms", name, threads, w.name, ms)
                            add(model, "memory_mb", name, threads, w.name, mb)
        for model in models:
            for f in folders(model.name, o.workloads):
                for name, side in list(o.sides.items())[::-1] if i % 2 else o.sides.items():
                    if side.engine == OV:
                        continue
                    say(f"process {i + 1} of {o.processes}, {model.name}: {name}, {f.label}")
                    ms, _ = model.embed(name, f, model.arrangement.get((name, f)))
                    model.data["photos"]["ms"].setdefault(name, {}).setdefault(str(max(o.threads)), {}).setdefault(f.name, []).append(ms)
        state("between" if i < o.processes - 1 else "after")
        save(i + 1)


def write(path, new):
    """Writes the runs so far, without the models of the new one, and the new one."""
    runs, raced = [], [m["name"] for m in new["models"]]
    if os.path.exists(path):
        with open(path) as f:
            runs = json.load(f)["runs"]
    for r in runs:
        r["models"] = [m for m in r["models"] if m["name"] not in raced]
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    with open(path, "w") as f:
        f.write(json.dumps({"runs": [r for r in runs if r["models"]] + [new]}, indent=1) + "\n")


def versions(packages):
    from importlib.metadata import version
    return {package: version(package) for package in packages}


def main():
    presets = ["beit3-base-patch16-224", *TOWERS, EMOJI]
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--multiway", default="bin/multiway", help="the compiler's binary")
    a.add_argument("--preset", default=",".join(presets), help="models to race: presets of BEiT-3 at 224 pixels, or of the default, %(default)s")
    a.add_argument("--out", default="peers.json", help="file of all numbers")
    a.add_argument("--processes", type=int, default=3)
    a.add_argument("--threads", default="1,2")
    a.add_argument("--time", type=float, default=1, help="seconds for each workload of a process")
    a.add_argument("--workloads", help="some of a model's workloads, by their names in --out (default: all)")
    a.add_argument("--sides", default=",".join(SIDES), help="default: %(default)s")
    a.add_argument("--work", help="folder for the binaries and the models, kept for the next run; default: a temporary one")
    for flag in ("--worker", "--once", "--models", "--photos", "--arrangement", "--vectors"):  # of the processes that this starts
        a.add_argument(flag, help=argparse.SUPPRESS)
    o = a.parse_args()
    o.workloads = o.workloads.split(",") if o.workloads else None
    if o.worker:
        o.threads = int(o.threads)
        return embed(o) if o.photos else worker(o)
    o.threads = [int(n) for n in o.threads.split(",")]
    names = o.preset.split(",")

    def known(flag, words, among):
        if unknown := [x for x in words if x not in among]:
            a.error(f"{flag}: no {', '.join(unknown)}; there are {', '.join(dict.fromkeys(among))}")

    known("--workloads", o.workloads or [], [w.name for name in names for w in workloads(name) + folders(name)])
    known("--sides", o.sides.split(","), SIDES)
    o.sides = {name: SIDES[name] for name in o.sides.split(",")}
    with open(o.multiway, "rb") as f:
        o.version = hashlib.sha256(f.read()).hexdigest()[:12]
    machine = {"python": platform.python_version(), "system": f"{platform.system()} {platform.machine()}", "level": os.environ.get("MULTIWAY_LEVEL", ""), "peaks": [],
               "versions": versions(["onnxruntime", "openvino", "nncf", "onnx", "torch", "transformers", "pillow"])}
    work = o.work or tempfile.mkdtemp()
    try:
        models = [Model(o, name, os.path.join(work, name)) for name in names]
        for model in models:
            model.accuracy()
            model.arrange()

        def save(done):
            write(o.out, {"machine": machine, "processes": done, "sides": list(o.sides), "models": [m.data for m in models]})

        race(o, models, machine, save)
    finally:
        if not o.work:
            shutil.rmtree(work)


if __name__ == "__main__":
    main()
