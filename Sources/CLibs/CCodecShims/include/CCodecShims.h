#pragma once
#include "av_shim.h"
#include "lazy_libraries.h"
#include "png_shim.h"
#include "shim_types.h"
