#pragma once
#include "onnxruntime_table.h"
#include "openblas_table.h"
