#pragma once
#include "shim_types.h"

/// Deflates bytes without looking for repetition, but for runs of one byte: what remains to be won on weights is where a block,
/// and so its Huffman code, ends. Blocks end where another code pays for its own description, and are stored where no code pays.
///
/// Appends a raw deflate stream to `out`; false when memory is short.
bool wc_block_deflate(const uint8_t *bytes, size_t count, wc_bytes *out);
