#!/usr/bin/env python3
"""Judges `multiway export --onnx` by golden cases: ONNX Runtime runs the exported files, NumPy compares with the recorded outputs.

    python3 check_onnx.py --multiway bin/multiway golden/testdata/retrieval golden/testdata/encode_t1

Needs numpy and onnxruntime, and onnx to check the files' structure (left out if it is missing). Each case is exported twice, with every
layer's results as outputs: as it is, run one sequence at a time at the text's true length, and with --mask, run as one padded batch.
Prints a line an output; the exit status is 1 if one failed. What ONNX is not asked is named, with the reason.
"""
import argparse
import json
import os
import struct
import subprocess
import sys
import tempfile

import numpy as np
import onnxruntime as ort

# What the runs of each kind call, by whether there are images and texts: functions, each with the case's names of its outputs where
# they differ from its own; "" is what the others begin with.
ENCODERS = {(True, False): {"vision": {}}, (False, True): {"language": {}}, (True, True): {"pair": {}}}
RETRIEVAL = {(True, False): {"vision_retrieval": {}}, (False, True): {"language_retrieval": {}}, (True, True): {"vision_retrieval": {}, "language_retrieval": {}}}
SEE = {
    "vision": {"encoder_out": "vision_out", "": "vision."},
    "vision_retrieval": {"vision_cls": "image_embeds", "features": "image_features"},
}
READ = {
    "language": {"encoder_out": "language_out", "": "language."},
    "language_retrieval": {"language_cls": "text_embeds", "features": "text_features"},
}
KINDS = {
    "clip": {(True, False): SEE, (False, True): READ, (True, True): {**SEE, **READ}},
    "encode": ENCODERS,
    "retrieval": RETRIEVAL,
    "classification": {(True, False): {"vision_classification": {}}},
    "vqa": {(True, True): {"pair_vqa": {}}},
    "captioning": {(True, True): {"caption_full": {}}},
    "vlmo_vl": {(True, True): {
        "pair": {"encoder_out": "feats"},
        "pair_itm": {"logits": "itm_logits"},
        "pair_mlm": {"logits": "mlm_logits"},
        "pair_vqa": {"logits": "vqa_logits"},
    }},
    "vlmo_itc": {(True, True): {
        "vision": {"encoder_out": "image.feats"},
        "vision_retrieval": {"vision_cls": "image.cls_feats"},
        "vision_retrieval_vl": {"vision_cls": "image.cls_vlffn_feats"},
        "language": {"encoder_out": "text.feats"},
        "language_retrieval": {"language_cls": "text.cls_feats"},
        "language_retrieval_vl": {"language_cls": "text.cls_vlffn_feats"},
    }},
}
# Outputs of a run that no function has.
NO_FUNCTION = {
    "logits_per_image": "the package computes it of the embeddings",
    "probs_per_image": "the package computes it of the embeddings",
    "logits_per_text": "the package computes it of the embeddings",
    "logits_per_vlffn_image": "the package computes it of the embeddings",
}

# Two pictures and a text: the functions of either picture; reason_head takes their features side by side.
REASON = {"nlvr2": ("pair_nlvr2", "pair_nlvr2"), "vlmo_nlvr2": ("pair_nlvr2", "pair_nlvr2_second")}

DTYPES = {"F64": np.float64, "F32": np.float32, "F16": np.float16, "I64": np.int64, "I32": np.int32, "U8": np.uint8, "I8": np.int8, "BOOL": np.bool_}


def safetensors(path):
    with open(path, "rb") as f:
        raw = f.read()
    (n,) = struct.unpack("<Q", raw[:8])
    out = {}
    for name, t in json.loads(raw[8:8 + n]).items():
        if name != "__metadata__":
            a, b = t["data_offsets"]
            out[name] = np.frombuffer(raw[8 + n + a:8 + n + b], DTYPES[t["dtype"]]).reshape(t["shape"])
    return out


class Models:
    """The exported functions of a case, loaded when they are needed."""

    def __init__(self, folder):
        self.folder, self.sessions = folder, {}
        try:
            import onnx
            for name in sorted(os.listdir(folder)):
                if name.endswith(".onnx"):
                    onnx.checker.check_model(os.path.join(folder, name), full_check=True)
        except ImportError:
            pass

    def session(self, name):
        if name not in self.sessions:
            o = ort.SessionOptions()
            o.intra_op_num_threads = 2
            self.sessions[name] = ort.InferenceSession(os.path.join(self.folder, name + ".onnx"), o, providers=["CPUExecutionProvider"])
        return self.sessions[name]

    def run(self, name, feeds):
        s = self.session(name)
        names = [x.name for x in s.get_inputs()]
        return dict(zip([x.name for x in s.get_outputs()], s.run(None, {k: v for k, v in feeds.items() if k in names})))


def functions(run):
    """The functions of a run, or none if its kind is not known."""
    if run["kind"] in REASON:
        return {name: {} for name in REASON[run["kind"]] + ("reason_head",)}
    with_image = any(k.startswith("image") for k in run["inputs"])
    return KINDS.get(run["kind"], {}).get((with_image, "text_ids" in run["inputs"]), {})


def call(models, run, images, ids, mask):
    """The outputs of a batch by the case's names."""
    text = {} if ids is None else {"ids": ids, "attention_mask": mask}
    if run["kind"] in REASON:
        pair = [next(iter(models.run(f, {"image": images[k], **text}).values())) for f, k in zip(REASON[run["kind"]], ("image_a", "image_b"))]
        head = models.session("reason_head").get_inputs()[0].name
        return models.run("reason_head", {head: np.concatenate(pair, axis=-1)})
    out = {}
    for f, names in functions(run).items():
        for k, v in models.run(f, {"image": images.get("image"), **text}).items():
            out[names.get(k, names.get("", "") + k)] = v
    return out


def rows(run, total, length, text):
    """The rows of an output that are no padding: of total, text may be as many as the longest text has, of which length are."""
    if text == 0 or total < text or total == 1:
        return list(range(total))
    if run["kind"].startswith("vlmo"):  # the text first
        return [i for i in range(total) if i < length or i >= text]
    return list(range(total - text + length))


def left_out(what, why):
    print(f"{what}: left out, {why}")


def check(case_dir, multiway, tmp):
    """Returns the numbers of outputs that are right and wrong."""
    path = os.path.join(case_dir, "case.json")
    if not os.path.isfile(path):
        left_out(case_dir, "it is no golden case: there is no case.json")
        return 0, 0
    with open(path) as f:
        case = json.load(f)
    name = case.get("name", os.path.basename(os.path.normpath(case_dir)))
    if not case.get("weights"):
        left_out(name, "it is a case of task " + case.get("task", "?") + ", which has no model")
        return 0, 0
    if "config" not in case:
        left_out(name, "it was recorded of another description, which is not in it")
        return 0, 0
    # Where the last row is pooled and no mask hides padding, it is read like any id.
    language = case["config"].get("language", {})
    padded = language.get("mask_padding") is False and language["pool"] == "last"
    by_weights = {}
    for run in case["runs"]:
        where = f"{name} {run['name']}"
        if not functions(run):
            left_out(where, f"kind {run['kind']} is not known here")
            continue
        if "decode" in run:
            left_out(where + " decode", "a search over words is a loop of calls, not a function")
        by_weights.setdefault(run.get("weights_dtype", "f32"), []).append(run)
    inputs = safetensors(os.path.join(case_dir, "inputs.safetensors"))
    passed = failed = 0
    for weights, runs in by_weights.items():
        truth = {}
        for field in ("expected_files", "truth_files"):  # the float64 outputs where there are some
            path = os.path.join(case_dir, (case.get(field) or {}).get(weights, ""))
            if os.path.isfile(path):
                truth.update(safetensors(path))
        for masked in (False,) if padded else (False, True):
            folder = os.path.join(tmp, name + "-" + weights + ("-mask" if masked else ""))
            entries = sorted({f for run in runs for f in functions(run)})
            p = subprocess.run(
                [multiway, "export", "--onnx", folder, "--taps", "--weights", weights, "--entry", ",".join(entries)] + ["--mask"] * masked + [case_dir],
                capture_output=True, text=True)
            if p.returncode:
                print(f"{name}: {p.stderr.strip()}  FAIL")
                failed += 1
                continue
            models = Models(folder)
            for run in runs:
                if masked and "text_ids" not in run["inputs"]:
                    continue  # a picture has no padding
                p, f = check_run(name, weights, run, models, inputs, truth, masked, padded)
                passed, failed = passed + p, failed + f
    return passed, failed


def check_run(name, weights, run, models, inputs, truth, masked, padded):
    where = run["inputs"]
    images = {k: inputs[t].astype(np.float32) for k, t in where.items() if k.startswith("image")}
    ids = inputs[where["text_ids"]].astype(np.int64) if "text_ids" in where else None
    batch = len(ids) if ids is not None else len(next(iter(images.values())))
    text = 0 if ids is None else ids.shape[1]
    lengths = [text] * batch
    if "padding_mask" in where and not padded:
        lengths = (inputs[where["padding_mask"]] == 0).sum(axis=1).tolist()
    if "text_mask" in where:
        lengths = (inputs[where["text_mask"]] != 0).sum(axis=1).tolist()
    if masked:
        mask = (np.arange(text)[None, :] < np.array(lengths)[:, None]).astype(np.int64)
        whole = call(models, run, images, ids, mask)
        got = [{k: v[i] for k, v in whole.items()} for i in range(batch)]
    else:
        got = []
        for i in range(batch):
            one = call(models, run, {k: v[i:i + 1] for k, v in images.items()}, None if ids is None else ids[i:i + 1, :lengths[i]], None)
            got.append({k: v[0] for k, v in one.items()})
    passed = failed = 0
    for key, spec in run["outputs"].items():
        what = f"{name} {run['name']} {key}" + ("" if weights == "f32" else f" with weights in {weights}")
        if key not in got[0]:
            if not masked:
                left_out(what, NO_FUNCTION.get(key, "no function returns it"))
            continue
        if spec["tensor"] not in truth:
            left_out(what, f"the case has no tensor {spec['tensor']}")
            continue
        want = truth[spec["tensor"]].astype(np.float64)
        worst, ok = 0.0, True
        for i in range(batch):
            w = want[i].reshape(-1, want.shape[-1])
            g = got[i][key].astype(np.float64).reshape(-1, want.shape[-1])
            pick = rows(run, len(w), lengths[i], 0 if key.startswith(("image", "vision")) else text)
            w = w[pick]
            if masked:
                g = g[pick]
            if g.shape != w.shape:
                ok = False
                continue
            d = np.abs(g - w)
            ok = ok and bool((d <= spec["atol"] + spec["rtol"] * np.abs(w)).all())
            worst = max(worst, float(d.max()))
        passed, failed = passed + ok, failed + (not ok)
        print(f"{what} {'one padded batch' if masked else 'one by one'}: max abs error {worst:.2e}, atol {spec['atol']:.2e}  {'ok' if ok else 'FAIL'}")
    return passed, failed


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--multiway", default="bin/multiway", help="the compiler's binary")
    a.add_argument("case", nargs="+", help="folder of a golden case")
    o = a.parse_args()
    passed = failed = 0
    for c in o.case:
        with tempfile.TemporaryDirectory() as tmp:
            p, f = check(c, o.multiway, tmp)
            passed, failed = passed + p, failed + f
    print(f"{passed} ok, {failed} failed")
    sys.exit(1 if failed or not passed else 0)


if __name__ == "__main__":
    main()
