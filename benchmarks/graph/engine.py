"""Memory that ONNX Runtime asks for while a model runs, to the byte.

The Python module does not take an allocator of one's own; the table of the C API does, and only ever grows at its end. The
numbers below are places in that table (`OrtApi` of onnxruntime_c_api.h).
"""

import ctypes
import pathlib

import onnxruntime

PLACES = {
    "GetErrorMessage": 2, "CreateEnv": 3, "CreateSession": 7, "Run": 9, "CreateSessionOptions": 10,
    "DisableMemPattern": 17, "SetSessionGraphOptimizationLevel": 23, "SetIntraOpNumThreads": 24,
    "CreateTensorWithDataAsOrtValue": 49, "CreateCpuMemoryInfo": 69, "ReleaseSession": 95, "ReleaseValue": 96,
    "AddSessionConfigEntry": 130, "RegisterAllocator": 176,
}
TYPES = {"float32": 1, "uint8": 2, "int8": 3, "int32": 6, "int64": 7, "bool": 9, "float16": 10, "float64": 11}
DEVICE_ALLOCATOR, DEFAULT = 0, 0
NONE, BASIC = 0, 1


class Allocator(ctypes.Structure):
    """`OrtAllocator`, of a version that has nothing but these."""

    Alloc = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
    Free = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)
    Info = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)
    _fields_ = [("version", ctypes.c_uint32), ("alloc", Alloc), ("free", Free), ("info", Info)]


class Engine:
    """The library that the Python module comes with, and what it has asked for."""

    def __init__(self):
        folder = pathlib.Path(onnxruntime.__file__).parent / "capi"
        base = ctypes.CDLL(str(next(folder.glob("libonnxruntime.so.*")))).OrtGetApiBase
        base.restype = ctypes.POINTER(ctypes.c_void_p)
        get_api = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_uint32)(base()[0])
        self.table = ctypes.cast(get_api(17), ctypes.POINTER(ctypes.c_void_p))
        libc = ctypes.CDLL(None)
        libc.aligned_alloc.restype = ctypes.c_void_p
        libc.aligned_alloc.argtypes = [ctypes.c_size_t, ctypes.c_size_t]
        libc.free.argtypes = [ctypes.c_void_p]
        self.live, self.most, self.sizes = 0, 0, {}

        def allocate(_, size):
            pointer = libc.aligned_alloc(64, (max(size, 1) + 63) // 64 * 64)
            self.sizes[pointer] = size
            self.live += size
            self.most = max(self.most, self.live)
            return pointer

        def free(_, pointer):
            if pointer:
                self.live -= self.sizes.pop(pointer)
                libc.free(pointer)

        self.memory = self.made("CreateCpuMemoryInfo", ctypes.c_int(DEVICE_ALLOCATOR), ctypes.c_int(DEFAULT))
        self.allocator = Allocator(
            17, Allocator.Alloc(allocate), Allocator.Free(free), Allocator.Info(lambda _: self.memory.value))
        self.env = self.made("CreateEnv", ctypes.c_int(3), b"memory")
        self.call("RegisterAllocator", self.env, ctypes.byref(self.allocator))

    def call(self, name, *arguments):
        status = ctypes.CFUNCTYPE(ctypes.c_void_p)(self.table[PLACES[name]])(*arguments)
        if status and not name.startswith("Release"):
            message = ctypes.CFUNCTYPE(ctypes.c_char_p)(self.table[PLACES["GetErrorMessage"]])
            raise RuntimeError(f"{name}: {message(ctypes.c_void_p(status)).decode()}")

    def made(self, name, *arguments):
        made = ctypes.c_void_p()
        self.call(name, *arguments, ctypes.byref(made))
        return made

    def peak(self, path, inputs, outputs, level=BASIC):
        """Most bytes in use during a run above those before it: values that layers give, and temporary memory.

        Constants are folded and each value has memory of its own, not a place in a plan for the whole run.
        """
        options = self.made("CreateSessionOptions")
        self.call("SetSessionGraphOptimizationLevel", options, ctypes.c_int(level))
        self.call("SetIntraOpNumThreads", options, ctypes.c_int(1))
        self.call("DisableMemPattern", options)
        self.call("AddSessionConfigEntry", options, b"session.use_env_allocators", b"1")
        session = self.made("CreateSession", self.env, str(path).encode(), options)
        values = []
        for array in inputs.values():
            shape = (ctypes.c_int64 * array.ndim)(*array.shape)
            values.append(
                self.made(
                    "CreateTensorWithDataAsOrtValue", self.memory, ctypes.c_void_p(array.ctypes.data),
                    ctypes.c_size_t(array.nbytes), shape, ctypes.c_size_t(array.ndim), ctypes.c_int(TYPES[str(array.dtype)])))
        names = (ctypes.c_char_p * len(inputs))(*[name.encode() for name in inputs])
        wanted = (ctypes.c_char_p * len(outputs))(*[name.encode() for name in outputs])
        given = (ctypes.c_void_p * len(inputs))(*[value.value for value in values])
        results = (ctypes.c_void_p * len(outputs))()
        before = self.most = self.live
        self.call(
            "Run", session, None, names, given, ctypes.c_size_t(len(inputs)), wanted, ctypes.c_size_t(len(outputs)), results)
        peak = self.most - before
        for value in list(results) + [value.value for value in values]:
            self.call("ReleaseValue", ctypes.c_void_p(value))
        self.call("ReleaseSession", session)
        return peak
