#!/usr/bin/env python3
"""Races a compiled model against ONNX Runtime on the exported one: same weights, same machine, by turns.

    python3 bench_peers.py --multiway bin/multiway --out golden/reference/peers

Needs Linux, numpy, onnx and onnxruntime. Builds a binary and ONNX files of a preset with seeded weights (or of --description), then starts
processes of either engine alternately, --processes of each for each number of threads. Every process times every workload for --time
seconds, at least three calls; a workload's time is the median over the processes of their medians. Start to first result and peak memory
are of processes that make one call and end, Python and its imports included. Texts are random ids; nothing is read from outside.

--int8 also races binaries of precision int8 against models that ONNX Runtime has quantised (quantize_dynamic, weights int8 by output column).

Writes OUT.md, a table; OUT.svg, the same as bars; OUT.json, every number; and the table and the picture into --readme, between its marks.
--render does only the writing, from OUT.json. Run it on a machine that does nothing else.
"""
import argparse
import json
import logging
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

# Lengths of 32 texts, 16 ids on average: as searches are, and with one long text among them.
MIXED = [4, 4, 5, 5, 6, 6, 7, 8, 8, 9, 9, 10, 10, 11, 12, 12, 13, 14, 15, 16, 17, 18, 19, 20, 22, 24, 26, 28, 31, 36, 40, 47]
WIDE = [4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 13, 14, 15, 16, 17, 18, 19, 21, 24, 26, 28, 30, 33, 42, 64]

# name, what it is, entry, lengths of the texts (None: no text), what the peer pads them to (None: not at all)
WORKLOADS = [
    ("vision", "a picture", "vision", None, None),
    ("text16", "a text of 16 ids", "language", [16], None),
    ("text64", "a text of 64 ids", "language", [64], None),
    ("pair64", "a picture and a text of 64 ids", "pair", [64], None),
    ("mixed", f"32 texts of 4 to {MIXED[-1]} ids, mean 16, padded to the longest", "language", MIXED, MIXED[-1]),
    ("mixed64", "the same texts, padded to 64", "language", MIXED, 64),
    ("wide", "32 texts of 4 to 64 ids, mean 16, padded to the longest", "language", WIDE, 64),
]
# With --int8, at either engine's int8.
INT8 = [("vision-int8", "a picture, int8", "vision", None, None), ("text16-int8", "a text of 16 ids, int8", "language", [16], None)]
QUANTISED = "-int8"

MARKS = "<!-- made by: make bench-peers -->\n", "<!-- end of bench-peers -->\n"


def workloads(o):
    return [w for w in WORKLOADS + INT8 * o.int8 if w[0] in o.workloads or w in INT8]


# ---------------------------------------------------------------- one process of ONNX Runtime

def worker(o):
    """Times the workloads in this process and prints the medians in ms as JSON; with --once it makes the first call and ends."""
    import numpy as np
    import onnxruntime as ort
    sessions = {}

    def session(name):
        if name not in sessions:
            s = ort.SessionOptions()
            s.intra_op_num_threads, s.inter_op_num_threads = o.threads, 1
            s.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
            sessions[name] = ort.InferenceSession(os.path.join(o.models, name + ".onnx"), s, providers=["CPUExecutionProvider"])
        return sessions[name]

    def prepare(w):
        _, _, entry, texts, padded = w
        entry += QUANTISED * (w in INT8)
        rng = np.random.default_rng(1)
        feeds = {}
        if padded is None:
            s = session(entry)
            if texts is not None:
                feeds["ids"] = rng.integers(0, o.vocab, (len(texts), texts[0]))
        else:
            s = session(entry + "-mask")
            feeds["ids"] = rng.integers(0, o.vocab, (len(texts), padded))
            feeds["attention_mask"] = (np.arange(padded)[None, :] < np.array(texts)[:, None]).astype(np.int64)
        for x in s.get_inputs():
            if x.name == "image":
                feeds["image"] = rng.uniform(-1, 1, [1] + list(x.shape[1:])).astype(np.float32)
        return s, feeds

    if o.once:
        s, feeds = prepare(next(w for w in WORKLOADS + INT8 if w[0] == o.once))
        s.run(None, feeds)
        with open("/proc/self/status") as f:
            print(json.dumps({"peak_memory_mb": next(int(line.split()[1]) for line in f if line.startswith("VmHWM:")) / 1024}))
        return
    medians = {}
    for w in workloads(o):
        s, feeds = prepare(w)
        s.run(None, feeds)
        times, start = [], time.perf_counter()
        while len(times) < 3 or time.perf_counter() - start < o.time:
            at = time.perf_counter()
            s.run(None, feeds)
            times.append((time.perf_counter() - at) * 1e3)
        medians[w[0]] = statistics.median(times)
        if w[2] == "pair":
            sessions.pop("pair", None)
    print(json.dumps(medians))


# ---------------------------------------------------------------- the race

class Engine:
    def __init__(self, name, measure, first):
        self.name, self.measure, self.first = name, measure, first


def run(cmd):
    p = subprocess.run(cmd, capture_output=True, text=True)
    if p.returncode:
        sys.exit(f"{' '.join(cmd)}\n{p.stderr}{p.stdout}")
    return p.stdout


def timed(cmd):
    """Milliseconds from the start of a process to its end, and the peak memory in MB that it printed."""
    at = time.perf_counter()
    out = run(cmd)
    return (time.perf_counter() - at) * 1e3, json.loads(out)["peak_memory_mb"]


def engines(o, binary, models):
    def ours(threads):
        out, done = {}, {}
        for w in workloads(o):
            cmd = [binary + QUANTISED * (w in INT8), "bench", "--json", "--threads", str(threads), "--time", f"{o.time}s", "--entry", w[2]]
            if w[3] is not None and len(w[3]) > 1:
                cmd += ["--lengths", ",".join(map(str, w[3]))]
            elif w[3] is not None:
                cmd += ["--tokens", str(w[3][0])]
            if tuple(cmd) in done:  # texts that only the other engine pads in two ways
                out[w[0]] = done[tuple(cmd)]
                continue
            report = json.loads(run(cmd))
            done[tuple(cmd)] = out[w[0]] = report["results"][0]["median_ms"]
            o.machine.update(cpu=report["cpu"], cores=report["cores"], busy=o.machine.get("busy", False) or report["busy"])
            for kind in ("fma_peak_gflops", "read_gbps"):
                k = o.machine.setdefault(kind, {})
                k[str(threads)] = max(k.get(str(threads), 0), report[kind][str(threads)])
        return out

    def ours_first(w, threads):
        cmd = [binary + QUANTISED * (w in INT8), "bench", "--once", "--json", "--threads", str(threads), "--entry", w[2]]
        return timed(cmd + (["--tokens", str(w[3][0])] if w[3] else []))

    peer = [sys.executable, os.path.abspath(__file__), "--worker", "--models", models, "--vocab", str(o.vocab), "--time", str(o.time)] + ["--int8"] * o.int8

    def ort(threads):
        return json.loads(run(peer + ["--threads", str(threads), "--workloads", ",".join(o.workloads)]))

    def ort_first(w, threads):
        return timed(peer + ["--threads", str(threads), "--once", w[0]])

    return [Engine("multiway", ours, ours_first), Engine("ONNX Runtime", ort, ort_first)]


def race(o, list_):
    """Every number: [engine][threads][workload] -> list over processes."""
    times, first, memory = {}, {}, {}
    for i in range(o.processes):
        for threads in o.threads:
            turn = list_ if i % 2 == 0 else list_[::-1]
            for e in turn:
                print(f"process {i + 1} of {o.processes}, {threads} threads: {e.name}", file=sys.stderr)
                for name, ms in e.measure(threads).items():
                    times.setdefault(e.name, {}).setdefault(str(threads), {}).setdefault(name, []).append(ms)
                for w in workloads(o):
                    if w[0] in ("vision", "text16"):
                        ms, mb = e.first(w, threads)
                        first.setdefault(e.name, {}).setdefault(str(threads), {}).setdefault(w[0], []).append(ms)
                        memory.setdefault(e.name, {}).setdefault(str(threads), {}).setdefault(w[0], []).append(mb)
    return {"times_ms": times, "first_ms": first, "memory_mb": memory}


# ---------------------------------------------------------------- what is written

CALL, BATCH, FIRST, MEMORY = "a call", "32 texts a call", "process start to first result", "peak memory of that process"


def rows(o, data):
    """Lines of the table: section, label, threads, ours, theirs, unit, whether more is better."""
    out = []
    for kind, section, unit in (("times_ms", CALL, "ms"), ("times_ms", BATCH, "texts/s"), ("first_ms", FIRST, "ms"), ("memory_mb", MEMORY, "MB")):
        for w in WORKLOADS + INT8:
            texts = len(w[3] or [])
            if kind == "times_ms" and (texts > 1) != (section == BATCH):
                continue
            for threads in o.threads:
                pair = [data[kind].get(e, {}).get(str(threads), {}).get(w[0]) for e in ("multiway", "ONNX Runtime")]
                if not all(pair):
                    continue
                if section == BATCH:
                    pair = [[1e3 * texts / ms for ms in x] for x in pair]
                out.append((section, w[1], threads, pair[0], pair[1], unit, section == BATCH))
    return out


BUSY = 0.15  # more than this between processes, as a share of their median, is marked


def show(values):
    """The median as it is printed, and the cell with its mark and brackets."""
    m = statistics.median(values)
    digits = 0 if m >= 100 else 1 if m >= 10 else 2
    mark = "~" if max(values) - min(values) > BUSY * m else ""
    return f"{m:.{digits}f}", f"{mark}{m:.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def markdown(o, data):
    m = o.machine
    lines = [
        f"{m['model']} on {m['cpu']}, {m['cores']} cores, {m['system']}; ONNX Runtime {m['onnxruntime']}, Python {m['python']}. "
        f"FMA peak {', '.join(f'{v:.0f} GFLOP/s' + (' (' + k + ' threads)' if k != '1' else ' (1 thread)') for k, v in sorted(m['fma_peak_gflops'].items()))}. "
        f"Medians of {o.processes} processes each, by turns; in brackets the least and the largest. "
        f"~: over {100 * BUSY:.0f} % between them, so that the ratio is rough. Ratios are those of the medians beside them."
        + " **The machine was busy at times.**" * m.get("busy", False),
    ]
    section = None
    for s, label, threads, ours, theirs, unit, more in rows(o, data):
        if s != section:
            lines += ["", f"| {s} | threads | multiway, {unit} | ONNX Runtime, {unit} | ratio |", "|---|---|---|---|---|"]
            section = s
        (a, left), (b, right) = show(ours), show(theirs)
        ratio = float(a) / float(b) if more else float(b) / float(a)
        lines.append(f"| {label} | {threads} | {left} | {right} | {'~' * ('~' in left + right)}{ratio:.2f} |")
    return "\n".join(lines) + "\n"


def svg(o, data):
    """Two bars a line of the table, as long as the longer one of both allows."""
    text, bar, gap, left, width = 13, 14, 16, 450, 420
    y, body = 46, []
    section = None
    for s, label, threads, ours, theirs, unit, more in rows(o, data):
        if s != section:
            y += 22
            body.append(f'<text x="12" y="{y}" class="h">{s}: {"longer" if more else "shorter"} is better</text>')
            y += 12
            section = s
        a, b = statistics.median(ours), statistics.median(theirs)
        body.append(f'<text x="{left - 10}" y="{y + bar + 4}" text-anchor="end">{label}, {threads} thread{"s" * (threads > 1)}</text>')
        for value, style, dy in ((a, "us", 0), (b, "them", bar)):
            w = max(1, round(width * value / max(a, b)))
            digits = 0 if value >= 100 else 1 if value >= 10 else 2
            body.append(f'<rect x="{left}" y="{y + dy}" width="{w}" height="{bar - 2}" class="{style}"/><text x="{left + w + 6}" y="{y + dy + bar - 3}">{value:.{digits}f} {unit}</text>')
        y += 2 * bar + gap
    height = y + 10
    return f'''<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 110}" height="{height}" viewBox="0 0 {left + width + 110} {height}">
<!-- Written by bench_peers.py; do not edit. -->
<style>text {{ font: {text - 1}px sans-serif; fill: #24292f }} .h {{ font-weight: bold }} .us {{ fill: #00add8 }} .them {{ fill: #b8bec5 }}</style>
<rect width="100%" height="100%" fill="#ffffff"/>
<text x="12" y="26" class="h">{o.machine["model"]} on {o.machine["cpu"]}, {o.machine["cores"]} cores</text>
<rect x="{left}" y="34" width="12" height="12" class="us"/><text x="{left + 17}" y="44">multiway</text>
<rect x="{left + 90}" y="34" width="12" height="12" class="them"/><text x="{left + 107}" y="44">ONNX Runtime {o.machine["onnxruntime"]}</text>
{chr(10).join(body)}
</svg>
'''


def write(o, data):
    """Writes everything that is made of the numbers."""
    os.makedirs(os.path.dirname(os.path.abspath(o.out)), exist_ok=True)
    table = markdown(o, data)
    note = "<!-- Written by bench_peers.py; do not edit. -->\n"
    for name, text in ((".json", json.dumps(data, indent=1) + "\n"), (".md", note + table), (".svg", svg(o, data))):
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


def quantise(models):
    """Has ONNX Runtime make its int8 models, as its documentation advises for CPUs with VNNI."""
    from onnxruntime.quantization import QuantType, quantize_dynamic
    logging.disable(logging.WARNING)  # it advises shape inference, which makes these models no faster
    for entry in sorted({w[2] for w in INT8}):
        quantize_dynamic(os.path.join(models, entry + ".onnx"), os.path.join(models, entry + QUANTISED + ".onnx"),
                         per_channel=True, weight_type=QuantType.QInt8, extra_options={"MatMulConstBOnly": True})


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--multiway", default="bin/multiway", help="the compiler's binary")
    a.add_argument("--preset", default="beit3-base-patch16-224", help="model to race, with seeded weights")
    a.add_argument("--description", help="a description instead of a preset; it needs the task encode, and no precision if --int8 is given")
    a.add_argument("--out", default="peers", help="path of what is written, without .md, .svg, .json")
    a.add_argument("--readme", help="file to write the table and the picture into, between its marks")
    a.add_argument("--render", action="store_true", help="race nothing: write the table and the picture of OUT.json again")
    a.add_argument("--processes", type=int, default=5)
    a.add_argument("--threads", default="1,2")
    a.add_argument("--time", type=float, default=2, help="seconds for each workload of a process")
    a.add_argument("--workloads", default=",".join(w[0] for w in WORKLOADS))
    a.add_argument("--int8", action="store_true", help="race int8 against int8 too")
    a.add_argument("--work", help="folder for the binary and the models, kept; default: a temporary one")
    for flag in ("--worker", "--once", "--models", "--vocab"):  # of the processes that this starts
        a.add_argument(flag, help=argparse.SUPPRESS, **({"action": "store_true"} if flag == "--worker" else {}))
    o = a.parse_args()
    o.workloads = o.workloads.split(",")
    unknown = set(o.workloads) - {w[0] for w in WORKLOADS}
    if unknown:
        a.error(f"--workloads: no {', '.join(sorted(unknown))}; there are {', '.join(w[0] for w in WORKLOADS)}")
    if o.worker:
        o.threads, o.vocab = int(o.threads), int(o.vocab)
        return worker(o)
    o.threads = [int(n) for n in o.threads.split(",")]
    if o.render:
        with open(o.out + ".json") as f:
            data = json.load(f)
        o.machine, o.processes = data["machine"], data["processes"]
        return write(o, data)
    import onnxruntime
    o.machine = {"model": o.preset, "onnxruntime": onnxruntime.__version__, "python": platform.python_version(), "system": f"{platform.system()} {platform.machine()}"}

    work = o.work or tempfile.mkdtemp()
    os.makedirs(work, exist_ok=True)
    try:
        text = f"model: 1\npreset: {o.preset}\nseed: 1\ntasks: [encode]\n"
        folder = work
        if o.description:
            o.machine["model"] = os.path.basename(o.description)
            folder = os.path.dirname(os.path.abspath(o.description))  # what it names is beside it
            with open(o.description) as f:
                text = f.read()
        binary, models = os.path.join(work, "model"), os.path.join(work, "models")
        for suffix, more in [("", "")] + [(QUANTISED, "precision: int8\n")] * o.int8:
            with tempfile.NamedTemporaryFile("w", dir=folder, suffix=".yaml") as f:
                f.write(text.rstrip() + "\n" + more)
                f.flush()
                run([o.multiway, "build", "--check", "off", "--binary", binary + suffix, f.name])
                if not suffix:
                    run([o.multiway, "export", "--onnx", models, f.name])
                    run([o.multiway, "export", "--onnx", os.path.join(models, "language-mask.onnx"), "--mask", "--entry", "language", f.name])
        if o.int8:
            quantise(models)
        o.vocab = json.loads(run([binary, "info", "--json"]))["vocab"]
        data = race(o, engines(o, binary, models))
    finally:
        if not o.work:
            shutil.rmtree(work)
    data["machine"], data["processes"] = o.machine, o.processes
    write(o, data)


if __name__ == "__main__":
    main()
