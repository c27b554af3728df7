#pragma once
#include <stddef.h>
#include <stdint.h>

#include "engine_message.h"

// ONNX Runtime's C interface, of which packages for Python bring the library and no header. It is one table of functions that only
// ever grows at its end (`OrtApi` in onnxruntime_c_api.h): these are the places and the types of those that are called here.

typedef struct OrtStatus OrtStatus;
typedef struct OrtEnv OrtEnv;
typedef struct OrtSession OrtSession;
typedef struct OrtSessionOptions OrtSessionOptions;
typedef struct OrtRunOptions OrtRunOptions;
typedef struct OrtAllocator OrtAllocator;
typedef struct OrtMemoryInfo OrtMemoryInfo;
typedef struct OrtTypeInfo OrtTypeInfo;
typedef struct OrtTensorInfo OrtTensorInfo;
typedef struct OrtValue OrtValue;

/// The version of the table that is asked for: the first that has all of these functions, which libraries since 1.12 give.
enum { wc_onnxruntime_version = 12 };

/// Of `enum OrtLoggingLevel`: print nothing, as errors come back as a status too.
enum { wc_onnxruntime_log_fatal = 4 };
/// Of `enum OrtAllocatorType` and `enum OrtMemType`: the plain allocator, and memory for what a network takes and gives.
enum { wc_onnxruntime_device_allocator = 0, wc_onnxruntime_memory_default = 0 };

/// Of `enum GraphOptimizationLevel`: the last adds to fused operators the layout of blocks of channels.
enum { wc_onnxruntime_extended_optimizations = 2, wc_onnxruntime_all_optimizations = 99 };

#define WC_STATUS OrtStatus *_Nullable
#define WC_OUT(type) type *_Nullable *_Nonnull

#define WC_ONNXRUNTIME_FUNCTIONS(F) \
    F(2, GetErrorMessage, const char *_Nonnull, (const OrtStatus *_Nonnull)) \
    F(3, CreateEnv, WC_STATUS, (int, const char *_Nonnull, WC_OUT(OrtEnv))) \
    F(7, CreateSession, WC_STATUS, (const OrtEnv *_Nonnull, const char *_Nonnull, const OrtSessionOptions *_Nonnull, WC_OUT(OrtSession))) \
    F(9, Run, WC_STATUS, (OrtSession *_Nonnull, const OrtRunOptions *_Nullable, const char *_Nullable const *_Nonnull, \
      const OrtValue *_Nullable const *_Nonnull, size_t, const char *_Nullable const *_Nonnull, size_t, WC_OUT(OrtValue))) \
    F(10, CreateSessionOptions, WC_STATUS, (WC_OUT(OrtSessionOptions))) \
    F(23, SetSessionGraphOptimizationLevel, WC_STATUS, (OrtSessionOptions *_Nonnull, int)) \
    F(24, SetIntraOpNumThreads, WC_STATUS, (OrtSessionOptions *_Nonnull, int)) \
    F(25, SetInterOpNumThreads, WC_STATUS, (OrtSessionOptions *_Nonnull, int)) \
    F(30, SessionGetInputCount, WC_STATUS, (const OrtSession *_Nonnull, size_t *_Nonnull)) \
    F(31, SessionGetOutputCount, WC_STATUS, (const OrtSession *_Nonnull, size_t *_Nonnull)) \
    F(33, SessionGetInputTypeInfo, WC_STATUS, (const OrtSession *_Nonnull, size_t, WC_OUT(OrtTypeInfo))) \
    F(34, SessionGetOutputTypeInfo, WC_STATUS, (const OrtSession *_Nonnull, size_t, WC_OUT(OrtTypeInfo))) \
    F(36, SessionGetInputName, WC_STATUS, (const OrtSession *_Nonnull, size_t, OrtAllocator *_Nonnull, WC_OUT(char))) \
    F(37, SessionGetOutputName, WC_STATUS, (const OrtSession *_Nonnull, size_t, OrtAllocator *_Nonnull, WC_OUT(char))) \
    F(49, CreateTensorWithDataAsOrtValue, WC_STATUS, (const OrtMemoryInfo *_Nonnull, void *_Nullable, size_t, const int64_t *_Nullable, \
      size_t, int, WC_OUT(OrtValue))) \
    F(50, IsTensor, WC_STATUS, (const OrtValue *_Nonnull, int *_Nonnull)) \
    F(51, GetTensorMutableData, WC_STATUS, (OrtValue *_Nonnull, WC_OUT(void))) \
    F(55, CastTypeInfoToTensorInfo, WC_STATUS, (const OrtTypeInfo *_Nonnull, WC_OUT(const OrtTensorInfo))) \
    F(60, GetTensorElementType, WC_STATUS, (const OrtTensorInfo *_Nonnull, int *_Nonnull)) \
    F(61, GetDimensionsCount, WC_STATUS, (const OrtTensorInfo *_Nonnull, size_t *_Nonnull)) \
    F(62, GetDimensions, WC_STATUS, (const OrtTensorInfo *_Nonnull, int64_t *_Nonnull, size_t)) \
    F(63, GetSymbolicDimensions, WC_STATUS, (const OrtTensorInfo *_Nonnull, const char *_Nullable *_Nonnull, size_t)) \
    F(65, GetTensorTypeAndShape, WC_STATUS, (const OrtValue *_Nonnull, WC_OUT(OrtTensorInfo))) \
    F(69, CreateCpuMemoryInfo, WC_STATUS, (int, int, WC_OUT(OrtMemoryInfo))) \
    F(76, AllocatorFree, WC_STATUS, (OrtAllocator *_Nonnull, void *_Nullable)) \
    F(78, GetAllocatorWithDefaultOptions, WC_STATUS, (WC_OUT(OrtAllocator))) \
    F(92, ReleaseEnv, void, (OrtEnv *_Nullable)) \
    F(93, ReleaseStatus, void, (OrtStatus *_Nullable)) \
    F(94, ReleaseMemoryInfo, void, (OrtMemoryInfo *_Nullable)) \
    F(95, ReleaseSession, void, (OrtSession *_Nullable)) \
    F(96, ReleaseValue, void, (OrtValue *_Nullable)) \
    F(98, ReleaseTypeInfo, void, (OrtTypeInfo *_Nullable)) \
    F(99, ReleaseTensorTypeAndShapeInfo, void, (OrtTensorInfo *_Nullable)) \
    F(100, ReleaseSessionOptions, void, (OrtSessionOptions *_Nullable)) \
    F(130, AddSessionConfigEntry, WC_STATUS, (OrtSessionOptions *_Nonnull, const char *_Nonnull, const char *_Nonnull)) \
    F(150, AddInitializer, WC_STATUS, (OrtSessionOptions *_Nonnull, const char *_Nonnull, const OrtValue *_Nonnull))

#define WC_FUNCTION(place, name, result, parameters) result(*_Nonnull name) parameters;

/// The functions, by the names that the header gives them.
typedef struct {
    WC_ONNXRUNTIME_FUNCTIONS(WC_FUNCTION)
    /// The library's version, as "1.31.1".
    const char *_Nonnull version;
} __attribute__((swift_attr("@Sendable"))) wc_onnxruntime;

/// Loads ONNX Runtime from a file, or by a name that the system's loader knows; it stays loaded.
///
/// Returns null when it cannot be loaded, is something else or too old, and then the message says so.
const wc_onnxruntime *_Nullable wc_onnxruntime_load(const char *_Nonnull file, wc_engine_message *_Nonnull message);
