#!/usr/bin/env python3
"""Checks that the peers load what we write.

    check_folders.py FOLDER [--like FOLDER] [--only PATTERN] [--tolerance 1e-4]

FOLDER is what tools/src/peers/write-folders.ts wrote: MODEL/CASE/{case.json, folder/} beside MODEL/base. Each case is checked as far as this Python can:

- always: the files that the layout has, float32 tensors, configuration and tensor names of the layout; with --like the names (numbers, the adapter's name
  and sizes aside), ranks and configuration keys are those of a folder that the peer itself wrote for the same model and method (the goldens' MODEL-METHOD-LIBRARY/adapter);
- with torch, transformers and peft: peft's folders are loaded on the base by PeftModel.from_pretrained, merged models by transformers; the logits must be ours;
- with adapters (the AdapterHub library) the same for its layout.

What is absent is said by name. Exit code: 0 when all that could be checked holds, 1 when something does not, 2 when there was nothing to check.
"""
import argparse
import importlib
import json
import re
import struct
import sys
from pathlib import Path

LIKE = {  # the goldens' names for our cases
    "lora-peft": "lora-peft", "prompt-peft": "prompt-peft", "prefix-peft": "prefix-peft", "lora-adapterhub": "lora-at", "pfeiffer-adapterhub": "pfeiffer-at",
    "houlsby-adapterhub": "houlsby-at", "prefix-adapterhub": "prefixflat-at",
}
FILES = {
    "peft": ["adapter_config.json", "adapter_model.safetensors"],
    "adapterhub": ["adapter_config.json", "adapter.safetensors"],
    "model": ["config.json", "model.safetensors"],
}


def header(path):
    """Names, dtypes and shapes of a safetensors file, without any library."""
    with open(path, "rb") as file:
        size = struct.unpack("<Q", file.read(8))[0]
        entries = json.loads(file.read(size))
    return {name: (entry["dtype"], entry["shape"]) for name, entry in entries.items() if name != "__metadata__"}


def shape_of_names(tensors, name):
    """Names with numbers and the adapter's name taken out, each with its rank: what must be the same in a peer's folder of another size."""
    plain = lambda key: re.sub(r"\.\d+(?=\.|$)", ".N", key.replace(f".{name}.", ".NAME."))
    return {(plain(key), len(shape)) for key, (_, shape) in tensors.items()}


def check_layout(case, folder, like):
    """What is wrong with a folder by its files alone."""
    layout = case["layout"]
    for name in FILES[layout]:
        if not (folder / name).is_file():
            return [f"{name} is missing"]
    config = json.loads((folder / FILES[layout][0]).read_text())
    tensors = header(folder / FILES[layout][1])
    wrong = [f"{name} is {dtype}, not F32" for name, (dtype, _) in tensors.items() if dtype != "F32"]
    if layout == "peft" and "peft_type" not in config:
        wrong.append("adapter_config.json has no peft_type")
    if layout == "adapterhub" and not {"config", "model_class", "name"} <= config.keys():
        wrong.append("adapter_config.json lacks config, model_class or name")
    return wrong + (check_like(config, tensors, like) if like is not None else [])


def check_like(config, tensors, like):
    """What differs from a folder that the peer wrote."""
    theirs = json.loads((like / "adapter_config.json").read_text())
    file = next(path for stem in ("adapter_model", "pytorch_adapter", "adapter") for path in [like / f"{stem}.safetensors"] if path.is_file())
    wrong = [f"adapter_config.json lacks {key}, which {like.parent.name} has" for key in theirs.keys() - config.keys()]
    inner, own = theirs.get("config"), config.get("config")
    if isinstance(inner, dict) and isinstance(own, dict):
        wrong += [f"config lacks {key}, which {like.parent.name} has" for key in inner.keys() - own.keys()]
    ours, peers = shape_of_names(tensors, config.get("name")), shape_of_names(header(file), theirs.get("name"))
    wrong += [f"tensor {name} of rank {rank} is not in {like.parent.name}" for name, rank in sorted(ours - peers)]
    return wrong + [f"tensor {name} of rank {rank} is in {like.parent.name} alone" for name, rank in sorted(peers - ours)]


def auto_class(transformers, head):
    return transformers.AutoModelForSequenceClassification if head == "sequence-classification" else transformers.AutoModelForCausalLM


def load_base(case, folder):
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    kind = json.loads((folder / "config.json").read_text())["model_type"]
    loader = transformers.AutoModelForSeq2SeqLM if kind == "t5" else auto_class(transformers, case["head"])
    return loader.from_pretrained(folder, attn_implementation="eager").eval()


def difference(case, model):
    """The largest difference of the logits from ours, relative to the largest of ours."""
    import torch

    inputs = {key: torch.tensor(case[key]) for key in ("input_ids", "attention_mask", "labels")}
    with torch.no_grad():
        logits = model(**inputs).logits
    ours = torch.tensor(case["logits"]).reshape(case["shape"])
    if logits.shape != ours.shape:
        raise ValueError(f"logits are {list(logits.shape)}, ours {list(ours.shape)}")
    return ((logits - ours).abs().max() / ours.abs().max()).item()


def with_peft(case, base, folder):
    import peft

    return difference(case, peft.PeftModel.from_pretrained(load_base(case, base), folder).eval())


def peft_refuses(case, base, folder):
    """Why peft does not even make an adapter of this configuration anew; None where it does."""
    import peft

    try:
        peft.get_peft_model(load_base(case, base), peft.PeftConfig.from_pretrained(folder))
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None


def with_transformers(case, base, folder):
    return difference(case, load_base(case, folder))


def with_adapters(case, base, folder):
    import adapters

    model = load_base(case, base)
    adapters.init(model)
    model.set_active_adapters(model.load_adapter(str(folder), use_safetensors=True))
    return difference(case, model.eval())


LOADERS = {"peft": (("torch", "transformers", "peft"), with_peft), "model": (("torch", "transformers"), with_transformers), "adapterhub": (("torch", "transformers", "adapters"), with_adapters)}


def version(module):
    try:
        return getattr(importlib.import_module(module), "__version__", "of unknown version")
    except Exception as error:  # a peer that is there but does not import is as good as absent, and says why
        return None if isinstance(error, ModuleNotFoundError) and error.name == module else f"not usable: {error}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--like", type=Path)
    parser.add_argument("--only", default="")
    parser.add_argument("--tolerance", type=float, default=1e-4)
    options = parser.parse_args()
    cases = [path for path in sorted(options.folder.glob("*/*/case.json")) if re.search(options.only, f"{path.parts[-3]}/{path.parts[-2]}")]
    if not cases:
        print(f"{options.folder}: no case.json in it; write it with tools/src/peers/write-folders.ts")
        return 2
    versions = {name: version(name) for name in ("torch", "transformers", "peft", "adapters", "bitsandbytes")}
    for name, found in versions.items():
        print(f"{name}: {found or 'absent'}")
    usable = {name for name, found in versions.items() if found and not found.startswith("not usable")}
    counts = {"layout": 0, "like": 0, "loaded": 0, "not loaded": 0, "refused": 0, "wrong": 0}
    for path in cases:
        check_case(path, options, usable, counts)
    print(f"{len(cases)} cases: {counts['layout']} layouts hold, {counts['like']} of them beside a peer's folder; {counts['loaded']} loaded with our logits; {counts['not loaded']} not loaded for want of a peer; {counts['refused']} of a kind that the peer refuses itself; {counts['wrong']} wrong")
    return 1 if counts["wrong"] else 0


def check_case(path, options, usable, counts):
    case = json.loads(path.read_text())
    folder, base, (model, name) = path.parent / "folder", (path.parent / case["base"]).resolve(), path.parts[-3:-1]
    like = like_of(options.like, model, name)
    wrong = check_layout(case, folder, like)
    counts["layout"] += not wrong
    counts["like"] += like is not None and not wrong
    needs, load = LOADERS[case["layout"]]
    missing = [peer for peer in needs if peer not in usable]
    said = f"not loaded: no {', '.join(missing)}"
    counts["not loaded"] += bool(missing)
    if not missing:
        try:
            found = load(case, base, folder)
            said = f"logits differ by {found:.1e}"
            if not found <= options.tolerance:
                wrong.append(said)
            else:
                counts["loaded"] += 1
        except Exception as error:
            refusal = peft_refuses(case, base, folder) if case["layout"] == "peft" else None
            counts["refused"] += refusal is not None
            if refusal is None:
                wrong.append(f"{case['layout']} does not load it: {type(error).__name__}: {error}")
            else:
                said = f"peft makes no such adapter itself: {refusal}"
    counts["wrong"] += bool(wrong)
    print(f"{'WRONG' if wrong else 'ok':5} {model}/{name}: {'; '.join(wrong) or said}{f', like {like.parent.name}' if like else ''}")


def like_of(folder, model, name):
    """The peer's own folder for a case, where there is one."""
    if folder is None or name not in LIKE:
        return None
    suffix = "prompt-peft040" if model in ("t5", "flan-t5") and name == "prompt-peft" else LIKE[name]
    path = folder / f"{model}-{suffix}" / "adapter"
    return path if path.is_dir() else None


if __name__ == "__main__":
    sys.exit(main())
