#!/usr/bin/env python3
"""torch_peer.py on an NVIDIA GPU: the same work with every tensor there, each time taken when the GPU has finished.

    torch_cuda.py PEER [--tf32] ARGUMENTS…

PEER is torch_peer.py, ARGUMENTS are its own. With --tf32 matrix products may round their inputs to 10 bits of mantissa, as PyTorch allows on request.
"""
import os
import runpy
import sys
import time

os.environ["TORCH_PEER"] = "1"  # or the peer starts itself anew for its settings of the CPU
import torch

arguments = sys.argv[1:]
if "--tf32" in arguments:
    arguments.remove("--tf32")
    torch.set_float32_matmul_precision("high")
torch.set_default_device("cuda")
clock = time.perf_counter


def finished():
    torch.cuda.synchronize()
    return clock()


time.perf_counter = finished
sys.argv = arguments
runpy.run_path(arguments[0], run_name="__main__")
