"""A CUDA program in one file, for any Python 3.8+: counts GPUs, copies memory there and back, runs a kernel.

Prints one JSON object. Speaks to the driver's libcuda by ctypes, so it needs no CUDA toolkit. Exit code 0 when a GPU
computed the right answer, 3 when CUDA cannot be initialised (`cuInit` says with what), 1 for anything else.
"""

import ctypes
import json
import os
import sys

NUMBERS = 1024
FACTOR = 3

PTX = b"""
.version 6.0
.target sm_50
.address_size 64
.visible .entry scale(.param .u64 data, .param .u32 factor)
{
    .reg .b32 %r<8>;
    .reg .b64 %rd<4>;
    ld.param.u64 %rd1, [data];
    ld.param.u32 %r1, [factor];
    cvta.to.global.u64 %rd2, %rd1;
    mov.u32 %r2, %ctaid.x;
    mov.u32 %r3, %ntid.x;
    mov.u32 %r4, %tid.x;
    mad.lo.s32 %r5, %r2, %r3, %r4;
    mul.wide.u32 %rd3, %r5, 4;
    add.s64 %rd2, %rd2, %rd3;
    ld.global.u32 %r6, [%rd2];
    mul.lo.u32 %r7, %r6, %r1;
    st.global.u32 [%rd2], %r7;
    ret;
}
"""


class CudaError(Exception):
    def __init__(self, call, code):
        Exception.__init__(self, f"{call} failed with CUDA error {code}")
        self.call, self.code = call, code


class Cuda:
    """Attribute access calls libcuda and raises CudaError."""

    def __init__(self):
        self._library = ctypes.CDLL("libcuda.so.1")

    def __getattr__(self, name):
        def call(*arguments):
            code = getattr(self._library, name)(*arguments)
            if code:
                raise CudaError(name, code)

        return call


def run_kernel(cuda):
    """NUMBERS integers to the GPU, multiplied there, and back."""
    numbers = (ctypes.c_uint32 * NUMBERS)(*range(NUMBERS))
    size = ctypes.c_size_t(ctypes.sizeof(numbers))
    memory, module, kernel = ctypes.c_uint64(), ctypes.c_void_p(), ctypes.c_void_p()
    cuda.cuMemAlloc_v2(ctypes.byref(memory), size)
    cuda.cuMemcpyHtoD_v2(memory, numbers, size)
    cuda.cuModuleLoadData(ctypes.byref(module), PTX + b"\0")
    cuda.cuModuleGetFunction(ctypes.byref(kernel), module, b"scale")
    factor = ctypes.c_uint32(FACTOR)
    arguments = (ctypes.c_void_p * 2)(
        ctypes.cast(ctypes.byref(memory), ctypes.c_void_p), ctypes.cast(ctypes.byref(factor), ctypes.c_void_p)
    )
    blocks, threads = NUMBERS // 128, 128
    cuda.cuLaunchKernel(kernel, blocks, 1, 1, threads, 1, 1, 0, None, arguments, None)
    cuda.cuCtxSynchronize()
    answer = (ctypes.c_uint32 * NUMBERS)()
    cuda.cuMemcpyDtoH_v2(answer, memory, size)
    cuda.cuMemFree_v2(memory)
    return list(answer) == [FACTOR * number for number in range(NUMBERS)]


def uuid_of(cuda, device):
    raw = (ctypes.c_ubyte * 16)()
    cuda.cuDeviceGetUuid_v2(raw, device)
    text = bytes(raw).hex()
    return "GPU-" + "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def main():
    report = {"cuInit": 0, "devices": [], "correct": False, "visible": os.environ.get("NVIDIA_VISIBLE_DEVICES", "")}
    try:
        cuda = Cuda()
        cuda.cuInit(0)
        count = ctypes.c_int()
        cuda.cuDeviceGetCount(ctypes.byref(count))
        for index in range(count.value):
            device, context = ctypes.c_int(), ctypes.c_void_p()
            cuda.cuDeviceGet(ctypes.byref(device), index)
            report["devices"].append(uuid_of(cuda, device))
            cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), device)
            cuda.cuCtxSetCurrent(context)
            report["correct"] = run_kernel(cuda)
    except OSError as error:
        report.update(error=str(error), cuInit=-1)
    except CudaError as error:
        report["error"] = str(error)
        if error.call == "cuInit":
            report["cuInit"] = error.code
    print(json.dumps(report))
    if report["correct"]:
        return 0
    return 3 if report["cuInit"] else 1


if __name__ == "__main__":
    sys.exit(main())
