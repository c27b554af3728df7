#pragma once
#include "png_shim.h"
