#pragma once
#include "engine_message.h"
#include "onnxruntime_table.h"
#include "openblas_table.h"
#include "openvino_table.h"
