#include "shim_types.h"

#include <stdlib.h>

bool wc_bytes_reserve(wc_bytes *bytes, size_t count)
{
    if (bytes->capacity - bytes->size >= count)
        return true;
    size_t capacity = bytes->capacity + bytes->capacity / 2 + count;
    uint8_t *data = capacity < count ? NULL : realloc(bytes->data, capacity);
    if (!data)
        return false;
    bytes->data = data;
    bytes->capacity = capacity;
    return true;
}

void wc_bytes_free(wc_bytes *bytes)
{
    free(bytes->data);
    *bytes = (wc_bytes){0};
}
