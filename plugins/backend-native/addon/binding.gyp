{
  # One target for each instruction set compiles the same kernels with its own flags; the module links them all and
  # chooses at run time. Flags that relax floating point stand at the compiler only: at the linker they would change the whole process.
  "variables": {
    "gemm%": "onednn",
    "sanitize%": "",
    "x86%": "<!(node -p \"process.arch === 'x64' ? 1 : 0\")",
    "kernels": [
      "isa/activation.cpp", "isa/low_rank.cpp", "isa/density.cpp", "isa/norm.cpp", "isa/attention.cpp", "isa/softmax.cpp",
      "isa/reduce.cpp", "isa/elementwise.cpp", "isa/update.cpp", "isa/quantized.cpp", "isa/sparse.cpp", "isa/selected.cpp", "isa/table.cpp"
    ]
  },
  "target_defaults": {
    "cflags!": ["-O2", "-fno-exceptions"],
    "cflags_cc!": ["-fno-exceptions", "-fno-rtti", "-std=gnu++17", "-std=gnu++20"],
    "cflags_cc": ["-std=gnu++17", "-O3", "-fPIC", "-fexceptions", "-fopenmp", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math", "-fvisibility=hidden", "-Wall", "-Wextra", "-Wno-psabi"],
    "conditions": [
      ["x86==1", { "defines": ["DEFT_X86"] }],
      ["sanitize!=''", { "cflags_cc": ["-fsanitize=<(sanitize)", "-fno-sanitize-recover=all", "-g", "-O1"], "ldflags": ["-fsanitize=<(sanitize)"] }]
    ]
  },
  "targets": [
    { "target_name": "portable", "type": "static_library", "sources": ["<@(kernels)"], "defines": ["DEFT_ISA=portable"] },
    {
      "target_name": "deft_native",
      "sources": [
        "src/module.cpp", "src/door.cpp", "src/door_linear.cpp", "src/door_pointwise.cpp", "src/door_norm.cpp", "src/door_attention.cpp",
        "src/door_array.cpp", "src/door_quantized.cpp", "src/door_skipping.cpp", "src/packed_handle.cpp", "src/linear.cpp", "src/quantized.cpp", "src/sparse.cpp", "src/selected.cpp", "src/gemm.cpp", "src/threads.cpp", "src/cpu.cpp"
      ],
      "dependencies": ["portable"],
      "ldflags": ["-fopenmp"],
      "conditions": [
        ["x86==1", { "dependencies": ["avx2", "avx512"] }],
        ["gemm=='onednn'", { "sources": ["src/gemm_onednn.cpp"], "libraries": ["-ldnnl"] }],
        ["gemm=='openblas'", { "sources": ["src/gemm_openblas.cpp"], "libraries": ["-lopenblas"] }]
      ]
    }
  ],
  "conditions": [
    ["x86==1", {
      "targets": [
        { "target_name": "avx2", "type": "static_library", "sources": ["<@(kernels)"], "defines": ["DEFT_ISA=avx2"], "cflags_cc": ["-mavx2", "-mfma"] },
        { "target_name": "avx512", "type": "static_library", "sources": ["<@(kernels)"], "defines": ["DEFT_ISA=avx512"],
          "cflags_cc": ["-mavx512f", "-mavx512dq", "-mavx512bw", "-mavx512vl", "-mavx2", "-mfma", "-mprefer-vector-width=512"] }
      ]
    }]
  ]
}
