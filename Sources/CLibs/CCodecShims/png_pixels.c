#include "png_state.h"

#include <stdio.h>

// Every kind of picture becomes one of 8 bits, gray or RGB: levels as they are, whatever the file says of gamma.
static void choose_samples(wc_png_state *state, bool is_rgb)
{
    png_structp png = state->png;
    int color = png_get_color_type(png, state->info), depth = png_get_bit_depth(png, state->info);
    if (color == PNG_COLOR_TYPE_PALETTE)
        png_set_palette_to_rgb(png);
    if (color == PNG_COLOR_TYPE_GRAY && depth < 8)
        png_set_expand_gray_1_2_4_to_8(png);
    if (depth == 16)
        png_set_scale_16(png);
    if (color & PNG_COLOR_MASK_ALPHA || png_get_valid(png, state->info, PNG_INFO_tRNS))
        png_set_strip_alpha(png);
    if (is_rgb && !(color & PNG_COLOR_MASK_COLOR))
        png_set_gray_to_rgb(png);
    // Luma as ITU-R BT.601 weighs it, which is what programs mean by the gray of a color.
    if (!is_rgb && color & PNG_COLOR_MASK_COLOR)
        png_set_rgb_to_gray_fixed(png, PNG_ERROR_ACTION_NONE, 29900, 58700);
}

static void read_pixels(wc_png_state *state, bool is_rgb, wc_picture *picture)
{
    png_structp png = state->png;
    png_set_read_fn(png, state, wc_png_read_bytes);
    png_set_user_limits(png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
    png_set_crc_action(png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
    png_set_chunk_malloc_max(png, 1 << 16);
    png_read_info(png, state->info);
    uint32_t width = png_get_image_width(png, state->info), height = png_get_image_height(png, state->info);
    if ((uint64_t)width * height > wc_picture_most_pixels)
        png_error(png, "more pixels than are read");
    // Deflate codes at most 1032 bytes in one.
    if (png_get_rowbytes(png, state->info) * (uint64_t)height / 1032 > state->left)
        png_error(png, "the file is truncated");
    choose_samples(state, is_rgb);
    int passes = png_set_interlace_handling(png);
    png_read_update_info(png, state->info);
    size_t row = png_get_rowbytes(png, state->info);
    if (row != (size_t)width * (is_rgb ? 3 : 1))
        png_error(png, "pixels of another size than expected");
    picture->width = width;
    picture->height = height;
    picture->samples = wc_allocate(row * height);
    if (!picture->samples)
        png_error(png, "out of memory");
    for (int pass = 0; pass < passes; pass++)
        for (uint32_t y = 0; y < height; y++)
            png_read_row(png, picture->samples + y * row, NULL);
    png_read_end(png, NULL);
}

bool wc_png_read_pixels(const uint8_t *file, size_t size, bool is_rgb, wc_picture *picture, wc_message *message)
{
    wc_png_state storage = {.source = file, .left = size, .message = message};
    wc_png_state *volatile state = &storage;
    *picture = (wc_picture){0};
    message->text[0] = 0;
    state->png = png_create_read_struct(PNG_LIBPNG_VER_STRING, state, wc_png_on_error, wc_png_on_warning);
    if (state->png)
        state->info = png_create_info_struct(state->png);
    volatile bool done = false;
    if (!state->info) {
        snprintf(message->text, sizeof message->text, "out of memory");
    } else if (!setjmp(state->jump)) {
        read_pixels(state, is_rgb, picture);
        done = true;
    }
    png_destroy_read_struct(&state->png, &state->info, NULL);
    if (!done) {
        wc_release(picture->samples);
        picture->samples = NULL;
    }
    return done;
}
