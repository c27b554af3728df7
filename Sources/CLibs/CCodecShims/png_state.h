#pragma once
#include "png_shim.h"

#include <png.h>
#include <setjmp.h>

// Everything that must survive libpng's longjmp. It is reached through a volatile pointer, so no part of it is kept in
// a register that the jump would roll back.
typedef struct {
    jmp_buf jump;
    png_structp png;
    png_infop info;
    uint8_t *row;
    const uint8_t *source;
    size_t left;
    wc_bytes *out;
    wc_message *message;
} wc_png_state;

// Callbacks for libpng, whose pointers are to such a state. The first message stays.
void wc_png_on_error(png_structp png, png_const_charp text);
void wc_png_on_warning(png_structp png, png_const_charp text);
void wc_png_read_bytes(png_structp png, png_bytep bytes, size_t count);
