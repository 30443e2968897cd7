#!/usr/bin/env python3
"""Races compiled models against ONNX Runtime and OpenVINO on ONNX files: same weights, same machine, by turns.

    python3 bench_peers.py --multiway bin/multiway --preset clip-vit-base-patch32 --out bin/peers

Needs Linux, numpy, onnx, onnxruntime and openvino; and torch, transformers and onnxscript for models of two towers, CLIP and SigLIP. The
Makefile has the versions.
All weights are random by a seed and nothing is read from outside. Of a BEiT-3 preset (or --description) the binary has the seeded weights of
the preset, and the other engines run what `multiway export --onnx` writes. A model of two towers is made by transformers' class and saved as
on the model hub, config.json and model.safetensors; the binary is built from that file by `multiway init` and `multiway build`, and the
other engines run what torch.onnx writes of the same module. There the length of texts is fixed, as programs for photos export it: 77 ids in
CLIP, of which the binary computes those up to the end token, and 64 in SigLIP. Embeddings of length 1 come out. Before such a race every
engine computes a picture and texts, and the script stops unless all embeddings are PyTorch's at f32, by a cosine over 0.9999.

Processes of the engines run alternately, --processes of each for each number of threads. Every process times every workload for --time
seconds, at least three calls; a workload's time is the median over the processes of their medians. Start to first result and peak memory
are of processes that make one call and end, Python and its imports included. Ids are random.

--int8 also races binaries of precision int8 against models that ONNX Runtime has quantised (quantize_dynamic, weights int8 by output column).
No module is kept finer in either. An int8 model that an engine cannot run is left out, and the reason printed.

Writes OUT.md, a table; OUT.svg, the same as bars; OUT.json, every number; and the table and the picture into --readme, between its marks.
Earlier runs in OUT.json stay, without the models that this run raced again. --render does only the writing, from OUT.json. Run it on a
machine that does nothing else.
"""
import argparse
import functools
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
WIDE = [4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 13, 14, 15, 16, 17, 18, 19, 21, 24, 26, 28, 30, 33, 42, 64]


class Workload(NamedTuple):
    name: str
    label: str
    entry: str                     # of the binary, and what the ONNX file is called
    texts: Optional[list] = None   # lengths of the texts
    padded: Optional[int] = None   # length that the other engines pad them to
    int8: bool = False             # whether it is raced at int8 too; in a list that runs: whether it is at int8
    first: bool = False            # whether the first result of a process is timed

    def key(self):
        return self.name + QUANTISED * self.int8


BEIT3 = [
    Workload("vision", "a picture", "vision", int8=True, first=True),
    Workload("text16", "a text of 16 ids", "language", [16], int8=True, first=True),
    Workload("text64", "a text of 64 ids", "language", [64]),
    Workload("pair64", "a picture and a text of 64 ids", "pair", [64]),
    Workload("mixed", f"32 texts of 4 to {MIXED[-1]} ids, mean 16, padded to the longest", "language", MIXED, MIXED[-1]),
    Workload("mixed64", "the same texts, padded to 64", "language", MIXED, 64),
    Workload("wide", "32 texts of 4 to 64 ids, mean 16, padded to the longest", "language", WIDE, 64),
]
PICTURE = Workload("vision", "a picture", "vision", int8=True, first=True)
CLIP = [
    PICTURE,
    Workload("text10", "a text of 10 ids, elsewhere padded to 77", "language", [10], 77, int8=True, first=True),
    Workload("text77", "a text of 77 ids", "language", [77], 77, int8=True),
]
SIGLIP = [PICTURE, Workload("text64", "a text of 64 ids", "language", [64], 64, int8=True, first=True)]

# Models of two towers by their presets: workloads, transformers' model and configuration, and the size of patches. All else is as the
# configuration has it by itself, which is base size and pictures of 224 pixels.
TOWERS = {
    "clip-vit-base-patch32": (CLIP, "CLIPModel", "CLIPConfig", 32),
    "clip-vit-base-patch16": (CLIP, "CLIPModel", "CLIPConfig", 16),
    "siglip-base-patch16-224": (SIGLIP, "SiglipModel", "SiglipConfig", 16),
}

OURS = "multiway"
PEERS = ["ONNX Runtime", "OpenVINO"]
QUANTISED = "-int8"
SAME = 0.9999  # least cosine of embeddings that are the same at f32

MARKS = "<!-- made by: make bench-peers -->\n", "<!-- end of bench-peers -->\n"


def workloads(model, only=None, int8=True):
    """The workloads of a model, first those at f32."""
    all_ = [w for w in TOWERS.get(model, (BEIT3,))[0] if only is None or w.name in only]
    return [w._replace(int8=False) for w in all_] + [w._replace(first=False) for w in all_ if int8 and w.int8]


def run(cmd):
    p = subprocess.run(cmd, capture_output=True, text=True)
    if p.returncode:
        sys.exit(f"{' '.join(cmd)}\n{p.stderr}{p.stdout}")
    return p.stdout


# ---------------------------------------------------------------- the other engines

def load(engine, path, threads):
    """The inputs of an ONNX file, their shapes by their names, and the function that computes its first output."""
    if engine == "ONNX Runtime":
        import onnxruntime
        o = onnxruntime.SessionOptions()
        o.intra_op_num_threads, o.inter_op_num_threads = threads, 1
        o.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        s = onnxruntime.InferenceSession(path, o, providers=["CPUExecutionProvider"])
        return {x.name: x.shape for x in s.get_inputs()}, lambda feeds: s.run(None, feeds)[0]
    import openvino
    config = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    m = openvino.Core().compile_model(path, "CPU", config)
    r = m.create_infer_request()
    shapes = {x.any_name: [d.get_length() if d.is_static else None for d in x.partial_shape] for x in m.inputs}
    return shapes, lambda feeds: r.infer(feeds, share_inputs=True)[0]


def worker(o):
    """Times the workloads in this process and prints the medians in ms as JSON; with --once it makes the first call and ends."""
    import numpy as np
    session = functools.lru_cache(maxsize=1)(lambda name: load(o.worker, os.path.join(o.models, name + ".onnx"), o.threads))

    def prepare(w):
        name = w.entry + QUANTISED * w.int8
        mask = w.padded and os.path.exists(os.path.join(o.models, name + "-mask.onnx"))
        shapes, call = session(name + "-mask" * bool(mask))
        rng = np.random.default_rng(1)
        feeds = {}
        if w.texts is not None:
            feeds["ids"] = rng.integers(0, o.vocab, (len(w.texts), w.padded or w.texts[0]))
        if mask:
            feeds["attention_mask"] = (np.arange(w.padded)[None, :] < np.array(w.texts)[:, None]).astype(np.int64)
        if "image" in shapes:
            feeds["image"] = rng.uniform(-1, 1, [1] + list(shapes["image"][1:])).astype(np.float32)
        return lambda: call(feeds)

    if o.once:
        prepare(next(w for w in workloads(o.preset, int8=False) if w.name == o.once))()
        with open("/proc/self/status") as f:
            print(json.dumps({"peak_memory_mb": next(int(line.split()[1]) for line in f if line.startswith("VmHWM:")) / 1024}))
        return
    medians, left_out = {}, {}
    for w in workloads(o.preset, o.workloads, o.int8):
        try:
            call = prepare(w)
            call()
        except Exception as e:
            if not w.int8:
                raise
            left_out[w.key()] = str(e)
            continue
        times, start = [], time.perf_counter()
        while len(times) < 3 or time.perf_counter() - start < o.time:
            at = time.perf_counter()
            call()
            times.append((time.perf_counter() - at) * 1e3)
        medians[w.key()] = statistics.median(times)
    print(json.dumps({"medians_ms": medians, "left_out": left_out}))


# ---------------------------------------------------------------- models and the race

class Model:
    """A model to race: its name, its binary (and the same with QUANTISED), the folder of its ONNX files, and what the race measured."""

    def __init__(self, o, name, folder):
        self.name, self.binary, self.onnx = name, os.path.join(folder, "model"), os.path.join(folder, "models")
        os.makedirs(self.onnx, exist_ok=True)
        self.data = {"times_ms": {}, "first_ms": {}, "memory_mb": {}}
        if name in TOWERS:
            self.towers(o, folder)
        elif o.description:
            self.build(o, o.description)
            self.export(o, o.description)
        else:
            path = os.path.join(folder, "model.yaml")
            with open(path, "w") as f:
                f.write(f"model: 1\npreset: {name}\nseed: 1\ntasks: [encode]\n")
            self.build(o, path)
            self.export(o, path)

    def build(self, o, description):
        for suffix, more in [("", [])] + [(QUANTISED, ["--precision", "int8", "--tune", "off"])] * o.int8:
            run([o.multiway, "build", "--check", "off", "--binary", self.binary + suffix] + more + [description])
        self.vocab = json.loads(run([self.binary, "info", "--json"]))["vocab"]

    def export(self, o, description):
        run([o.multiway, "export", "--onnx", self.onnx, description])
        run([o.multiway, "export", "--onnx", os.path.join(self.onnx, "language-mask.onnx"), "--mask", "--entry", "language", description])
        self.quantise(o)

    def quantise(self, o):
        """Has ONNX Runtime make its int8 models, as its documentation advises for CPUs with VNNI."""
        if not o.int8:
            return
        from onnxruntime.quantization import QuantType, quantize_dynamic
        from onnxruntime.quantization.registry import IntegerOpsRegistry
        logging.disable(logging.WARNING)  # it advises shape inference, which makes these models no faster
        for entry in sorted({w.entry for w in workloads(self.name) if w.int8}):
            # It has no kernel for convolutions with weights of int8.
            quantize_dynamic(os.path.join(self.onnx, entry + ".onnx"), os.path.join(self.onnx, entry + QUANTISED + ".onnx"), per_channel=True,
                             weight_type=QuantType.QInt8, op_types_to_quantize=[op for op in IntegerOpsRegistry if op != "Conv"],
                             extra_options={"MatMulConstBOnly": True})

    def towers(self, o, folder):
        """Makes the module, its checkpoint, the binary and the ONNX files, and compares what they compute."""
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
        module.save_pretrained(folder)

        description = os.path.join(folder, "model.yaml")
        run([o.multiway, "init", "--force", "--heads", str(see.num_attention_heads), "--text-heads", str(read.num_attention_heads),
             "-o", description, os.path.join(folder, "model.safetensors")])
        with open(description) as f:
            lines = [line for line in f if not line.startswith("preprocess:")]
        with open(description, "w") as f:
            f.write("".join(lines) + "preprocess: {resize: stretch, alpha: drop, mean: [0.5], std: [0.5]}\n")
        self.build(o, description)

        class Entry(torch.nn.Module):
            def __init__(self, features, argument):
                super().__init__()
                self.module, self.features, self.argument = module, features, argument

            def forward(self, x):
                return torch.nn.functional.normalize(getattr(self.module, self.features)(**{self.argument: x}), dim=-1)

        # A picture of the model's size, so that nothing is resized, and a text of each length with the end token, the largest id, last.
        rng = np.random.default_rng(2)
        pixels = rng.integers(0, 256, (see.image_size, see.image_size, 3), dtype=np.uint8)
        bmp = os.path.join(folder, "picture.bmp")
        with open(bmp, "wb") as f:
            f.write(struct.pack("<2sIHHIIiiHHIIiiII", b"BM", 54 + pixels.size, 0, 0, 54, 40, see.image_size, -see.image_size, 1, 24, 0, 0, 0, 0, 0, 0))
            f.write(pixels[:, :, ::-1].tobytes())
        image = (pixels.transpose(2, 0, 1)[None] / 127.5 - 1).astype(np.float32)
        probes = [("vision", "image", image, [bmp])]
        for w in workloads(self.name, int8=False):
            if w.texts is not None:
                ids = rng.integers(0, self.vocab - 1, w.texts[0] - 1).tolist() + [self.vocab - 1]
                probes.append(("language", "ids", np.array([ids + [0] * (w.padded - len(ids))]), ["--ids", ",".join(map(str, ids))]))

        entries = {"vision": Entry("get_image_features", "pixel_values").eval(), "language": Entry("get_text_features", "input_ids").eval()}
        with torch.no_grad():
            want = [entries[entry](torch.from_numpy(x)).numpy()[0] for entry, _, x, _ in probes]
            for entry, name, x, _ in probes[:2]:
                torch.onnx.export(entries[entry], (torch.from_numpy(x),), os.path.join(self.onnx, entry + ".onnx"), input_names=[name],
                                  output_names=["embeds"], external_data=False, verbose=False)
        self.quantise(o)

        self.data["cosine"] = {}
        for suffix in ["", QUANTISED] if o.int8 else [""]:
            for engine in [OURS] + o.peers:
                self.compare(engine, suffix, probes, want)

    def embed(self, engine, suffix, entry, feeds, args):
        if engine == OURS:
            return json.loads(run([self.binary + suffix, "embed", "--json"] + args))["embedding"]
        return load(engine, os.path.join(self.onnx, entry + suffix + ".onnx"), 1)[1](feeds)[0]

    def compare(self, engine, suffix, probes, want):
        """Keeps the least cosine of an engine's embeddings to the wanted ones; at f32 it ends the script if that is too low."""
        import numpy as np
        try:
            got = [self.embed(engine, suffix, entry, {name: x}, args) for entry, name, x, args in probes]
        except Exception as e:
            if not suffix:
                raise
            print(f"{self.name}{suffix}: {engine} does not run it: {e}", file=sys.stderr)
            return
        least = min(float(np.dot(a, b) / np.linalg.norm(a) / np.linalg.norm(b)) for a, b in zip(got, want))
        print(f"{self.name}{suffix}: {engine}, least cosine to PyTorch's embeddings {least:.6f}", file=sys.stderr)
        if not suffix and not least > SAME:
            sys.exit(f"{self.name}: {engine} computes other embeddings than PyTorch")
        self.data["cosine"].setdefault(engine, {})["int8" if suffix else "f32"] = least


def timed(cmd):
    """Milliseconds from the start of a process to its end, and the peak memory in MB that it printed."""
    at = time.perf_counter()
    out = run(cmd)
    return (time.perf_counter() - at) * 1e3, json.loads(out)["peak_memory_mb"]


class Ours:
    name = OURS

    def __init__(self, o, machine):
        self.o, self.machine = o, machine

    def command(self, model, w, threads):
        return [model.binary + QUANTISED * w.int8, "bench", "--json", "--threads", str(threads), "--entry", w.entry]

    def measure(self, model, threads):
        out, done = {}, {}
        for w in workloads(model.name, self.o.workloads, self.o.int8):
            cmd = self.command(model, w, threads) + ["--time", f"{self.o.time}s"]
            if w.texts is not None and len(w.texts) > 1:
                cmd += ["--lengths", ",".join(map(str, w.texts))]
            elif w.texts is not None:
                cmd += ["--tokens", str(w.texts[0])]
            if tuple(cmd) in done:  # texts that only the other engines pad in two ways
                out[w.key()] = done[tuple(cmd)]
                continue
            report = json.loads(run(cmd))
            done[tuple(cmd)] = out[w.key()] = report["results"][0]["median_ms"]
            m = self.machine
            m.update(cpu=report["cpu"], cores=report["cores"], busy=m.get("busy", False) or report["busy"])
            for kind in ("fma_peak_gflops", "read_gbps"):
                k = m.setdefault(kind, {})
                k[str(threads)] = max(k.get(str(threads), 0), report[kind][str(threads)])
        return out

    def first(self, model, w, threads):
        return timed(self.command(model, w, threads) + ["--once"] + (["--tokens", str(w.texts[0])] if w.texts else []))


class Peer:
    def __init__(self, o, name):
        self.o, self.name = o, name

    def command(self, model, threads):
        return [sys.executable, os.path.abspath(__file__), "--worker", self.name, "--preset", model.name, "--models", model.onnx, "--vocab", str(model.vocab),
                "--threads", str(threads)]

    def measure(self, model, threads):
        more = ["--time", str(self.o.time)] + ["--int8"] * self.o.int8
        if self.o.workloads:
            more += ["--workloads", ",".join(self.o.workloads)]
        out = json.loads(run(self.command(model, threads) + more))
        for key, why in out["left_out"].items():
            print(f"{model.name}: {self.name} does not run {key}: {why}", file=sys.stderr)
        return out["medians_ms"]

    def first(self, model, w, threads):
        return timed(self.command(model, threads) + ["--once", w.name])


def race(o, models, engines):
    """Lists, over the processes, into the data of the models: by engine, threads and workload."""
    def add(model, kind, e, threads, key, value):
        model.data[kind].setdefault(e.name, {}).setdefault(str(threads), {}).setdefault(key, []).append(value)

    for i in range(o.processes):
        for threads in o.threads:
            for model in models:
                for e in engines[::-1] if i % 2 else engines:
                    print(f"process {i + 1} of {o.processes}, {threads} threads, {model.name}: {e.name}", file=sys.stderr)
                    for key, ms in e.measure(model, threads).items():
                        add(model, "times_ms", e, threads, key, ms)
                    for w in workloads(model.name, o.workloads):
                        if w.first:
                            ms, mb = e.first(model, w, threads)
                            add(model, "first_ms", e, threads, w.key(), ms)
                            add(model, "memory_mb", e, threads, w.key(), mb)


# ---------------------------------------------------------------- what is written

CALL, BATCH, FIRST, MEMORY = "a call", "32 texts a call", "process start to first result", "peak memory of that process"


class Row(NamedTuple):
    section: str
    label: str
    threads: str
    unit: str
    more: bool     # whether more is better
    ours: list     # values over the processes
    theirs: list   # of each peer, the same or None


def rows(r):
    """The lines of a run's table."""
    out = []
    for kind, section, unit in (("times_ms", CALL, "ms"), ("times_ms", BATCH, "texts/s"), ("first_ms", FIRST, "ms"), ("memory_mb", MEMORY, "MB")):
        for model, data in r["models"].items():
            for w in workloads(model):
                texts = len(w.texts or [])
                if kind == "times_ms" and (texts > 1) != (section == BATCH):
                    continue
                for threads in data[kind].get(OURS, {}):
                    values = [data[kind].get(e, {}).get(threads, {}).get(w.key()) for e in [OURS] + list(r["peers"])]
                    if not values[0] or not any(values[1:]):
                        continue
                    if section == BATCH:
                        values = [x and [1e3 * texts / ms for ms in x] for x in values]
                    label = f"{model}: " * (len(r["models"]) > 1) + w.label + ", int8" * w.int8
                    out.append(Row(section, label, threads, unit, section == BATCH, values[0], values[1:]))
    return out


BUSY = 0.15  # more than this between processes, as a share of their median, is marked


def digits(value):
    return 0 if value >= 100 else 1 if value >= 10 else 2


def show(values):
    """The median as it is printed, and the cell with its mark and brackets."""
    m = statistics.median(values)
    d = digits(m)
    mark = "~" if max(values) - min(values) > BUSY * m else ""
    return f"{m:.{d}f}", f"{mark}{m:.{d}f} ({min(values):.{d}f} to {max(values):.{d}f})"


def int8_cosines(r):
    """What is said of the embeddings at int8: the least cosine of each engine."""
    said = []
    for e in [OURS] + list(r["peers"]):
        of = [m.get("cosine", {}).get(e, {}).get("int8") for m in r["models"].values()]
        if any(of):
            said.append(f"{e} {min(x for x in of if x):.4f}")
    return f" Least cosine of embeddings at int8 to PyTorch's at f32: {', '.join(said)}." if said else ""


def markdown(r):
    m = r["machine"]
    lines = [
        f"{', '.join(r['models'])} on {m['cpu']}, {m['cores']} cores, {m['system']}; {', '.join(f'{e} {v}' for e, v in r['peers'].items())}, "
        f"Python {m['python']}{''.join(f', {k} {v}' for k, v in m.get('makers', {}).items())}. "
        f"FMA peak {', '.join(f'{v:.0f} GFLOP/s' + (' (' + k + ' threads)' if k != '1' else ' (1 thread)') for k, v in sorted(m['fma_peak_gflops'].items()))}. "
        f"Medians of {r['processes']} process{'es' * (r['processes'] > 1)} each, by turns; in brackets the least and the largest. "
        f"~: over {100 * BUSY:.0f} % between them, so that the ratio is rough. Ratios are those of the medians beside them."
        + int8_cosines(r)
        + " **The machine was busy at times.**" * m.get("busy", False),
    ]
    section = None
    for x in rows(r):
        if x.section != section:
            section = x.section
            lines += ["", f"| {section} | threads | {OURS}, {x.unit} |" + "".join(f" {e}, {x.unit} | ratio |" for e in r["peers"]), "|---|---|---|" + "---|---|" * len(r["peers"])]
        a, left = show(x.ours)
        line = f"| {x.label} | {x.threads} | {left} |"
        for values in x.theirs:
            if not values:
                line += " | |"
                continue
            b, right = show(values)
            ratio = float(a) / float(b) if x.more else float(b) / float(a)
            line += f" {right} | {'~' * ('~' in left + right)}{ratio:.2f} |"
        lines.append(line)
    return "\n".join(lines) + "\n"


COLOURS = ["#00add8", "#b8bec5", "#6e7781"]


def svg(runs):
    """A bar for each engine a line of the table, as long as the longest of them allows."""
    bar, gap, left, width = 14, 16, 450, 420
    y, body = 0, []
    for r in runs:
        y += 26
        engines = [OURS] + [f"{e} {v}" for e, v in r["peers"].items()]
        body.append(f'<text x="12" y="{y}" class="h">{", ".join(r["models"])} on {r["machine"]["cpu"]}, {r["machine"]["cores"]} cores</text>')
        x = left
        for i, e in enumerate(engines):
            body.append(f'<rect x="{x}" y="{y + 8}" width="12" height="12" class="e{i}"/><text x="{x + 17}" y="{y + 18}">{e}</text>')
            x += 90 + 60 * (i > 0)
        y += 20
        section = None
        for row in rows(r):
            if row.section != section:
                section = row.section
                y += 22
                body.append(f'<text x="12" y="{y}" class="h">{section}: {"longer" if row.more else "shorter"} is better</text>')
                y += 12
            all_ = [(i, statistics.median(v)) for i, v in enumerate([row.ours] + row.theirs) if v]
            body.append(f'<text x="{left - 10}" y="{y + bar + 4}" text-anchor="end">{row.label}, {row.threads} thread{"s" * (row.threads != "1")}</text>')
            for i, value in all_:
                w = max(1, round(width * value / max(v for _, v in all_)))
                body.append(f'<rect x="{left}" y="{y}" width="{w}" height="{bar - 2}" class="e{i}"/><text x="{left + w + 6}" y="{y + bar - 3}">{value:.{digits(value)}f} {row.unit}</text>')
                y += bar
            y += gap
    return f'''<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 110}" height="{y + 10}" viewBox="0 0 {left + width + 110} {y + 10}">
<!-- Written by bench_peers.py; do not edit. -->
<style>text {{ font: 12px sans-serif; fill: #24292f }} .h {{ font-weight: bold }} {" ".join(f".e{i} {{ fill: {c} }}" for i, c in enumerate(COLOURS))}</style>
<rect width="100%" height="100%" fill="#ffffff"/>
{chr(10).join(body)}
</svg>
'''


def write(o, runs):
    """Writes everything that is made of the numbers."""
    table = "\n".join(markdown(r) for r in runs)
    note = "<!-- Written by bench_peers.py; do not edit. -->\n"
    os.makedirs(os.path.dirname(os.path.abspath(o.out)), exist_ok=True)
    for name, text in ((".json", json.dumps({"runs": runs}, indent=1) + "\n"), (".md", note + table), (".svg", svg(runs))):
        with open(o.out + name, "w") as f:
            f.write(text)
        print(o.out + name)
    if o.readme:
        with open(o.readme) as f:
            before, begin, rest = f.read().partition(MARKS[0])
        _, end, after = rest.partition(MARKS[1])
        if not begin or not end:
            sys.exit(f"{o.readme} lacks the marks {MARKS[0].strip()} and {MARKS[1].strip()}")
        picture = os.path.relpath(o.out + ".svg", os.path.dirname(os.path.abspath(o.readme)))
        with open(o.readme, "w") as f:
            f.write(before + begin + table + f"\n![the same as bars]({picture})\n" + end + after)
        print(o.readme)


def earlier(o):
    """The runs in OUT.json."""
    if not os.path.exists(o.out + ".json"):
        return []
    with open(o.out + ".json") as f:
        return json.load(f)["runs"]


def without(runs, models):
    """The runs less some models, and less those that are then empty."""
    runs = [{**r, "models": {k: v for k, v in r["models"].items() if k not in models}} for r in runs]
    return [r for r in runs if r["models"]]


def versions(names):
    from importlib.metadata import version
    return {name: version(package) for name, package in names.items()}


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--multiway", default="bin/multiway", help="the compiler's binary")
    a.add_argument("--preset", default="beit3-base-patch16-224", help="models to race, with random weights: presets of BEiT-3, " + ", ".join(TOWERS))
    a.add_argument("--description", help="a description instead of a preset; it needs the task encode, and no precision if --int8 is given")
    a.add_argument("--out", default="peers", help="path of what is written, without .md, .svg, .json")
    a.add_argument("--readme", help="file to write the table and the picture into, between its marks")
    a.add_argument("--render", action="store_true", help="race nothing: write the table and the picture of OUT.json again")
    a.add_argument("--processes", type=int, default=5)
    a.add_argument("--threads", default="1,2")
    a.add_argument("--time", type=float, default=2, help="seconds for each workload of a process")
    a.add_argument("--workloads", help="some of a model's workloads, by their names in OUT.json (default: all)")
    a.add_argument("--peers", default=",".join(PEERS), help="engines to race against (default: %(default)s)")
    a.add_argument("--int8", action="store_true", help="race int8 against int8 too")
    a.add_argument("--work", help="folder for the binaries and the models, kept; default: a temporary one")
    for flag in ("--worker", "--once", "--models", "--vocab"):  # of the processes that this starts
        a.add_argument(flag, help=argparse.SUPPRESS)
    o = a.parse_args()
    o.workloads = o.workloads.split(",") if o.workloads else None
    if o.worker:
        o.threads, o.vocab = int(o.threads), int(o.vocab)
        return worker(o)
    if o.render:
        return write(o, earlier(o))
    o.threads = [int(n) for n in o.threads.split(",")]
    o.peers = o.peers.split(",")
    if unknown := set(o.peers) - set(PEERS):
        a.error(f"--peers: no {', '.join(sorted(unknown))}; there are {', '.join(PEERS)}")
    names = [os.path.basename(o.description)] if o.description else o.preset.split(",")
    if unknown := set(o.workloads or []) - {w.name for name in names for w in workloads(name)}:
        a.error(f"--workloads: no {', '.join(sorted(unknown))}; there are {', '.join(dict.fromkeys(w.name for name in names for w in workloads(name)))}")
    peers = versions({name: name.replace(" ", "").lower() for name in o.peers})
    machine = {"python": platform.python_version(), "system": f"{platform.system()} {platform.machine()}"}
    if any(name in TOWERS for name in names):
        machine["makers"] = versions({"PyTorch": "torch", "transformers": "transformers"})

    work = o.work or tempfile.mkdtemp()
    try:
        models = [Model(o, name, os.path.join(work, name)) for name in names]
        race(o, models, [Ours(o, machine)] + [Peer(o, name) for name in o.peers])
    finally:
        if not o.work:
            shutil.rmtree(work)
    new = {"machine": machine, "peers": peers, "processes": o.processes, "models": {m.name: m.data for m in models}}
    write(o, without(earlier(o), names) + [new])


if __name__ == "__main__":
    main()
