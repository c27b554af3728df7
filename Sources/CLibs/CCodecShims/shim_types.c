#include "shim_types.h"

#include <stdlib.h>
#include <sys/mman.h>

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

void *wc_allocate(size_t size)
{
    size_t huge_page = (size_t)1 << 21;
    if (size < 2 * huge_page || size > SIZE_MAX - huge_page)
        return malloc(size);
    size_t rounded = (size + huge_page - 1) / huge_page * huge_page;
    void *memory = aligned_alloc(huge_page, rounded);
#ifdef MADV_HUGEPAGE
    if (memory)
        (void)madvise(memory, rounded, MADV_HUGEPAGE);
#endif
    return memory;
}

void wc_release(void *memory)
{
    free(memory);
}
