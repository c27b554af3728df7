#include "av_shim.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const int wc_averror_again = AVERROR(EAGAIN), wc_averror_eof = AVERROR_EOF;

// Nobody gets here who has not seen that libav can be loaded.
static const wc_libav *av(void)
{
    wc_message message;
    return wc_libav_load(&message);
}

void wc_av_describe(int error, wc_message *message)
{
    if (av()->av_strerror(error, message->text, sizeof message->text) < 0)
        snprintf(message->text, sizeof message->text, "error %d", error);
}

// MARK: Log

static _Thread_local struct {
    bool active;
    int level;
    wc_message first;
} capture;

static void on_log(void *object, int level, const char *format, va_list arguments)
{
    if (!capture.active) {
        av()->av_log_default_callback(object, level, format, arguments);
        return;
    }
    if (level > capture.level || capture.first.text[0])
        return;
    int prefix = 1;
    char line[sizeof capture.first.text];
    av()->av_log_format_line2(object, level, format, arguments, line, sizeof line, &prefix);
    line[strcspn(line, "\r\n")] = 0;
    // "[ffv1 @ 0x55d0] text": the address differs on every run.
    const char *text = line[0] == '[' ? strstr(line, "] ") : NULL;
    snprintf(capture.first.text, sizeof capture.first.text, "%s", text ? text + 2 : line);
}

static void install_callback(void)
{
    av()->av_log_set_callback(on_log);
}

void wc_av_log_begin(int level)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, install_callback);
    capture.active = true;
    capture.level = level;
    capture.first.text[0] = 0;
}

void wc_av_log_end(wc_message *message)
{
    capture.active = false;
    *message = capture.first;
}

// MARK: Input and output in memory

// libavformat 61 made the callback's bytes const.
#if LIBAVFORMAT_VERSION_MAJOR >= 61
static int append(void *opaque, const uint8_t *data, int count)
#else
static int append(void *opaque, uint8_t *data, int count)
#endif
{
    wc_bytes *bytes = opaque;
    if (!wc_bytes_reserve(bytes, (size_t)count))
        return AVERROR(ENOMEM);
    memcpy(bytes->data + bytes->size, data, (size_t)count);
    bytes->size += (size_t)count;
    return count;
}

static int read_source(void *opaque, uint8_t *data, int count)
{
    wc_source *source = opaque;
    size_t left = source->size - source->position;
    if (left == 0)
        return AVERROR_EOF;
    size_t taken = left < (size_t)count ? left : (size_t)count;
    memcpy(data, source->data + source->position, taken);
    source->position += taken;
    return (int)taken;
}

static int64_t seek_source(void *opaque, int64_t offset, int whence)
{
    wc_source *source = opaque;
    if (whence & AVSEEK_SIZE)
        return (int64_t)source->size;
    int64_t base = 0;
    if ((whence & ~AVSEEK_FORCE) == SEEK_CUR)
        base = (int64_t)source->position;
    else if ((whence & ~AVSEEK_FORCE) == SEEK_END)
        base = (int64_t)source->size;
    int64_t position;
    if (__builtin_add_overflow(base, offset, &position) || position < 0 || position > (int64_t)source->size)
        return AVERROR(EINVAL);
    source->position = (size_t)position;
    return position;
}

enum { buffer_size = 1 << 16 };

AVIOContext *wc_avio_append(wc_bytes *bytes)
{
    uint8_t *buffer = av()->av_malloc(buffer_size);
    AVIOContext *io = buffer ? av()->avio_alloc_context(buffer, buffer_size, 1, bytes, NULL, append, NULL) : NULL;
    if (!io)
        av()->av_free(buffer);
    return io;
}

AVIOContext *wc_avio_read(wc_source *source)
{
    uint8_t *buffer = av()->av_malloc(buffer_size);
    AVIOContext *io =
        buffer ? av()->avio_alloc_context(buffer, buffer_size, 0, source, read_source, NULL, seek_source) : NULL;
    if (!io)
        av()->av_free(buffer);
    return io;
}

void wc_avio_free(AVIOContext **io)
{
    if (*io)
        av()->av_freep(&(*io)->buffer);
    av()->avio_context_free(io);
}
