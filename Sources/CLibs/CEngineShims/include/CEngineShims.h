#pragma once
#include "onnxruntime_table.h"
