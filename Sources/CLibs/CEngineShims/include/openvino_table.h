#pragma once
#include <stddef.h>
#include <stdint.h>

#include "engine_message.h"

// OpenVINO's C interface (openvino/c/openvino.h), loaded when a network is run.

typedef struct ov_core ov_core_t;
typedef struct ov_model ov_model_t;
typedef struct ov_compiled_model ov_compiled_model_t;
typedef struct ov_infer_request ov_infer_request_t;
typedef struct ov_output_const_port ov_output_const_port_t;
typedef struct ov_tensor ov_tensor_t;

typedef struct {
    const char *_Nullable buildNumber;
    const char *_Nullable description;
} ov_version_t;

/// A size from `min` to `max`; open when these differ.
typedef struct {
    int64_t min, max;
} ov_dimension_t;

typedef struct {
    ov_dimension_t rank;
    ov_dimension_t *_Nullable dims;
} ov_partial_shape_t;

typedef struct {
    int64_t rank;
    int64_t *_Nullable dims;
} ov_shape_t;

#define WC_RESULT(type) type *_Nullable *_Nonnull

// Each gives a status, 0 when all is well.
#define WC_OPENVINO_FUNCTIONS(F) \
    F(ov_get_openvino_version, int, (ov_version_t *_Nonnull)) \
    F(ov_version_free, void, (ov_version_t *_Nonnull)) \
    F(ov_get_last_err_msg, const char *_Nullable, (void)) \
    F(ov_core_create, int, (WC_RESULT(ov_core_t))) \
    F(ov_core_free, void, (ov_core_t *_Nullable)) \
    F(ov_core_read_model, int, (const ov_core_t *_Nonnull, const char *_Nonnull, const char *_Nullable, WC_RESULT(ov_model_t))) \
    F(ov_core_compile_model, int, (const ov_core_t *_Nonnull, const ov_model_t *_Nonnull, const char *_Nonnull, size_t, \
      WC_RESULT(ov_compiled_model_t), ...)) \
    F(ov_model_free, void, (ov_model_t *_Nullable)) \
    F(ov_compiled_model_inputs_size, int, (const ov_compiled_model_t *_Nonnull, size_t *_Nonnull)) \
    F(ov_compiled_model_outputs_size, int, (const ov_compiled_model_t *_Nonnull, size_t *_Nonnull)) \
    F(ov_compiled_model_input_by_index, int, (const ov_compiled_model_t *_Nonnull, size_t, WC_RESULT(ov_output_const_port_t))) \
    F(ov_compiled_model_output_by_index, int, (const ov_compiled_model_t *_Nonnull, size_t, WC_RESULT(ov_output_const_port_t))) \
    F(ov_compiled_model_create_infer_request, int, (const ov_compiled_model_t *_Nonnull, WC_RESULT(ov_infer_request_t))) \
    F(ov_compiled_model_free, void, (ov_compiled_model_t *_Nullable)) \
    F(ov_port_get_any_name, int, (const ov_output_const_port_t *_Nonnull, WC_RESULT(char))) \
    F(ov_port_get_element_type, int, (const ov_output_const_port_t *_Nonnull, uint32_t *_Nonnull)) \
    F(ov_port_get_partial_shape, int, (const ov_output_const_port_t *_Nonnull, ov_partial_shape_t *_Nonnull)) \
    F(ov_partial_shape_free, void, (ov_partial_shape_t *_Nonnull)) \
    F(ov_output_const_port_free, void, (ov_output_const_port_t *_Nullable)) \
    F(ov_free, void, (const char *_Nullable)) \
    F(ov_infer_request_set_input_tensor_by_index, int, (ov_infer_request_t *_Nonnull, size_t, const ov_tensor_t *_Nonnull)) \
    F(ov_infer_request_get_output_tensor_by_index, int, (const ov_infer_request_t *_Nonnull, size_t, WC_RESULT(ov_tensor_t))) \
    F(ov_infer_request_infer, int, (ov_infer_request_t *_Nonnull)) \
    F(ov_infer_request_free, void, (ov_infer_request_t *_Nullable)) \
    F(ov_tensor_create, int, (uint32_t, ov_shape_t, WC_RESULT(ov_tensor_t))) \
    F(ov_tensor_get_shape, int, (const ov_tensor_t *_Nonnull, ov_shape_t *_Nonnull)) \
    F(ov_tensor_get_element_type, int, (const ov_tensor_t *_Nonnull, uint32_t *_Nonnull)) \
    F(ov_tensor_get_byte_size, int, (const ov_tensor_t *_Nonnull, size_t *_Nonnull)) \
    F(ov_tensor_data, int, (const ov_tensor_t *_Nonnull, WC_RESULT(void))) \
    F(ov_tensor_free, void, (ov_tensor_t *_Nullable)) \
    F(ov_shape_free, int, (ov_shape_t *_Nonnull))

#define WC_NAMED_FUNCTION(name, result, parameters) result(*_Nonnull name) parameters;

typedef struct {
    WC_OPENVINO_FUNCTIONS(WC_NAMED_FUNCTION)
} __attribute__((swift_attr("@Sendable"))) wc_openvino;

/// Loads OpenVINO's C library from a file, or by a name that the system's loader knows; it stays loaded.
///
/// Returns null when it cannot be loaded or lacks a function, and then the message says so.
const wc_openvino *_Nullable wc_openvino_load(const char *_Nonnull file, wc_engine_message *_Nonnull message);

/// Compiles a model for the processor, to run in so many threads and in the precision that the model is written in: Swift does not
/// call functions of any number of arguments.
int wc_openvino_compile(const wc_openvino *_Nonnull table, const ov_core_t *_Nonnull core, const ov_model_t *_Nonnull model,
                        const char *_Nonnull threads, WC_RESULT(ov_compiled_model_t) compiled);
