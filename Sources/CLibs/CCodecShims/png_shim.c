#include "png_rows.h"
#include "png_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

const int wc_png_strategy_default = Z_DEFAULT_STRATEGY, wc_png_strategy_filtered = Z_FILTERED,
          wc_png_strategy_huffman = Z_HUFFMAN_ONLY, wc_png_strategy_rle = Z_RLE;
const int wc_png_filter_none = PNG_FILTER_NONE, wc_png_filter_sub = PNG_FILTER_SUB, wc_png_filter_up = PNG_FILTER_UP,
          wc_png_filter_average = PNG_FILTER_AVG, wc_png_filter_paeth = PNG_FILTER_PAETH,
          wc_png_filter_all = PNG_ALL_FILTERS;

void wc_png_on_error(png_structp png, png_const_charp text)
{
    wc_png_state *state = png_get_error_ptr(png);
    if (state->message->text[0] == 0)
        snprintf(state->message->text, sizeof state->message->text, "%s", text);
    longjmp(state->jump, 1);
}

void wc_png_on_warning(png_structp png, png_const_charp text)
{
    (void)png;
    (void)text;
}

static void write_bytes(png_structp png, png_bytep bytes, size_t count)
{
    wc_bytes *out = ((wc_png_state *)png_get_io_ptr(png))->out;
    if (!wc_bytes_reserve(out, count))
        png_error(png, "out of memory");
    memcpy(out->data + out->size, bytes, count);
    out->size += count;
}

static void flush_bytes(png_structp png)
{
    (void)png;
}

void wc_png_read_bytes(png_structp png, png_bytep bytes, size_t count)
{
    wc_png_state *state = png_get_io_ptr(png);
    if (state->left < count)
        png_error(png, "the file is truncated");
    memcpy(bytes, state->source, count);
    state->source += count;
    state->left -= count;
}

static void allocate_row(wc_png_state *state, wc_png_format format)
{
    state->row = malloc(wc_png_row_bytes(format));
    if (!state->row)
        png_error(state->png, "out of memory");
}

static void prepare(wc_png_state *state)
{
    // libpng's default is a million each way. Reading stays bounded: the header is compared before rows are allocated.
    png_set_user_limits(state->png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
    png_set_benign_errors(state->png, 0);
}

static void write_picture(wc_png_state *state, const void *samples, wc_png_format format, wc_png_effort effort)
{
    png_structp png = state->png;
    allocate_row(state, format);
    png_set_write_fn(png, state, write_bytes, flush_bytes);
    png_set_compression_level(png, effort.level);
    png_set_compression_mem_level(png, 9);
    png_set_compression_strategy(png, effort.strategy);
    png_set_filter(png, PNG_FILTER_TYPE_BASE, effort.filters);

    // One IDAT chunk for each megabyte: its 12 bytes then do not show.
    size_t picture = (wc_png_row_bytes(format) + 1) * format.height, megabyte = 1 << 20, least = 1 << 12;
    png_set_compression_buffer_size(png, picture > megabyte ? megabyte : picture < least ? least : picture);

    png_set_IHDR(png, state->info, format.width, format.height, format.depth, PNG_COLOR_TYPE_GRAY, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    if (format.significant != format.depth) {
        png_color_8 bits = {.gray = (png_byte)format.significant};
        png_set_sBIT(png, state->info, &bits);
    }
    png_write_info(png, state->info);
    for (uint32_t y = 0; y < format.height; y++) {
        const uint8_t *line = (const uint8_t *)samples + y * wc_png_sample_row_bytes(format);
        if (wc_png_rows_are_samples(format)) {
            png_write_row(png, line);
        } else {
            wc_png_pack_row(line, format, state->row);
            png_write_row(png, state->row);
        }
    }
    png_write_end(png, NULL);
}

static bool is_expected_picture(wc_png_state *state, wc_png_format format)
{
    png_structp png = state->png;
    png_uint_32 width = 0, height = 0;
    int depth = 0, color = 0, interlace = 0;
    png_get_IHDR(png, state->info, &width, &height, &depth, &color, &interlace, NULL, NULL);
    int significant = depth;
    png_color_8p bits = NULL;
    if (png_get_sBIT(png, state->info, &bits))
        significant = bits->gray;
    if (width == format.width && height == format.height && depth == format.depth && color == PNG_COLOR_TYPE_GRAY &&
        interlace == PNG_INTERLACE_NONE && significant == format.significant)
        return true;
    snprintf(state->message->text, sizeof state->message->text, "%ux%u, color type %d, %d of %d bits significant%s",
             (unsigned)width, (unsigned)height, color, significant, depth, interlace ? ", interlaced" : "");
    return false;
}

// Deflate codes at most 1032 bytes in one: a shorter file cannot hold the picture, whatever its header says.
static bool is_possible_size(wc_png_format format, size_t left)
{
    return format.height <= SIZE_MAX / (wc_png_row_bytes(format) + 1) &&
           (wc_png_row_bytes(format) + 1) * format.height / 1032 <= left;
}

static wc_png_result read_picture(wc_png_state *state, wc_png_format format, void *samples)
{
    png_structp png = state->png;
    png_set_read_fn(png, state, wc_png_read_bytes);
    png_set_crc_action(png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
    // Text and profiles that somebody added are not kept, and never inflated beyond this.
    png_set_chunk_malloc_max(png, 1 << 16);
    png_set_compression_buffer_size(png, 1 << 16);
    png_read_info(png, state->info);
    if (!is_expected_picture(state, format))
        return wc_png_other_picture;
    if (!is_possible_size(format, state->left))
        png_error(png, "the file is truncated");
    if (!samples)
        return wc_png_done;
    // libpng stopped behind the length and the type of the first IDAT chunk.
    if (wc_png_read_plain(state->source - 8, state->left + 8, format, samples))
        return wc_png_done;
    allocate_row(state, format);
    for (uint32_t y = 0; y < format.height; y++) {
        uint8_t *line = (uint8_t *)samples + y * wc_png_sample_row_bytes(format);
        if (wc_png_rows_are_samples(format)) {
            png_read_row(png, line, NULL);
        } else {
            png_read_row(png, state->row, NULL);
            wc_png_unpack_row(state->row, format, line);
        }
    }
    png_read_end(png, NULL);
    if (state->left)
        png_error(png, "bytes follow the end of the picture");
    return wc_png_done;
}

bool wc_png_encode(const void *samples, wc_png_format format, wc_png_effort effort, wc_bytes *out, wc_message *message)
{
    wc_png_state storage = {.out = out, .message = message};
    wc_png_state *volatile state = &storage;
    message->text[0] = 0;
    state->png = png_create_write_struct(PNG_LIBPNG_VER_STRING, state, wc_png_on_error, wc_png_on_warning);
    if (state->png)
        state->info = png_create_info_struct(state->png);
    bool done = false;
    if (!state->info) {
        snprintf(message->text, sizeof message->text, "out of memory");
    } else if (!setjmp(state->jump)) {
        prepare(state);
        write_picture(state, samples, format, effort);
        done = true;
    }
    free(state->row);
    png_destroy_write_struct(&state->png, &state->info);
    if (!done)
        wc_bytes_free(out);
    return done;
}

// Reads the header only when there are no samples to read into.
static wc_png_result decode(const uint8_t *file, size_t size, wc_png_format format, void *samples, wc_message *message)
{
    wc_png_state storage = {.source = file, .left = size, .message = message};
    wc_png_state *volatile state = &storage;
    message->text[0] = 0;
    // What was written here needs no libpng, which takes longer than a small picture.
    size_t header = wc_png_plain_header(file, size, format);
    if (header && is_possible_size(format, size - header) &&
        (!samples || wc_png_read_plain(file + header, size - header, format, samples)))
        return wc_png_done;
    state->png = png_create_read_struct(PNG_LIBPNG_VER_STRING, state, wc_png_on_error, wc_png_on_warning);
    if (state->png)
        state->info = png_create_info_struct(state->png);
    volatile wc_png_result result = wc_png_failed;
    if (!state->info) {
        snprintf(message->text, sizeof message->text, "out of memory");
    } else if (!setjmp(state->jump)) {
        prepare(state);
        result = read_picture(state, format, samples);
    }
    free(state->row);
    png_destroy_read_struct(&state->png, &state->info, NULL);
    return result;
}

wc_png_result wc_png_check(const uint8_t *file, size_t size, wc_png_format format, wc_message *message)
{
    return decode(file, size, format, NULL, message);
}

wc_png_result wc_png_decode(const uint8_t *file, size_t size, wc_png_format format, void *samples, wc_message *message)
{
    return decode(file, size, format, samples, message);
}
