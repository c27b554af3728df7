#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// Bytes that C allocated and grew; released with `wc_bytes_free`.
typedef struct {
    uint8_t *data;
    size_t size;
    size_t capacity;
} wc_bytes;

/// One line of text about what went wrong; empty when nothing did.
typedef struct {
    char text[256];
} wc_message;

/// Makes room for `count` more bytes; false when memory is short.
bool wc_bytes_reserve(wc_bytes *bytes, size_t count);

void wc_bytes_free(wc_bytes *bytes);

/// Memory for `size` bytes, released with `wc_release`; null when there is none. Large runs are in huge pages where the system has
/// them: decoding PNG into small ones, the kernel takes a fifth of the time to map them.
void *wc_allocate(size_t size);

void wc_release(void *memory);
