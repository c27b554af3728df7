#include "block_deflate.h"

#include <stdlib.h>
#include <string.h>

// RFC 1951. Symbols of the first code are bytes, the end of the block, and lengths of matches; the second code, of distances,
// has only that of the byte before.
enum { END = 256, LENGTHS = 286, FIXED_LENGTHS = 288, LENGTH_CODES = 19, LONGEST_MATCH = 258, LONGEST_STORED = 65535 };

// Blocks end after a multiple of so many bytes: fewer in short data, where a table that fits soon pays; but joining many takes long.
static size_t granule_of(size_t count)
{
    size_t granule = count / 128, least = 1024, most = 8192;
    return granule < least ? least : granule > most ? most : granule;
}

typedef struct {
    uint32_t counts[LENGTHS];
    // Bits beside the symbols' codes: extra bits of lengths, and distances.
    uint64_t extra;
} Histogram;

typedef struct {
    size_t end;
    uint64_t bits;
    Histogram histogram;
} Block;

// A code for each of the symbols that occur: lengths of 0 are of those that do not.
static int by_count(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

// Lengths of Huffman's code, from counts in rising order, in place (Moffat and Katajainen 1995).
static void huffman_lengths(uint32_t *a, int count)
{
    a[0] += a[1];
    int root = 0, leaf = 2;
    for (int next = 1; next < count - 1; next++) {
        uint32_t sum = 0;
        for (int child = 0; child < 2; child++) {
            if (leaf >= count || (root < next && a[root] < a[leaf])) {
                sum += a[root];
                a[root++] = (uint32_t)next;
            } else {
                sum += a[leaf++];
            }
        }
        a[next] = sum;
    }
    a[count - 2] = 0;
    for (int next = count - 3; next >= 0; next--)
        a[next] = a[a[next]] + 1;
    int available = 1, used = 0, next = count - 1;
    uint32_t depth = 0;
    root = count - 2;
    while (available > 0) {
        while (root >= 0 && a[root] == depth) {
            used++;
            root--;
        }
        while (available > used) {
            a[next--] = depth;
            available--;
        }
        available = 2 * used;
        depth++;
        used = 0;
    }
}

// Lengths of a code of at most `longest` bits, nearly the best.
static void code_lengths(const uint32_t *counts, int count, int longest, uint8_t *lengths)
{
    uint64_t keys[LENGTHS];
    uint32_t depths[LENGTHS];
    int used = 0;
    memset(lengths, 0, (size_t)count);
    for (int symbol = 0; symbol < count; symbol++)
        if (counts[symbol])
            keys[used++] = (uint64_t)counts[symbol] << 16 | (uint64_t)symbol;
    if (used < 2) {
        if (used)
            lengths[keys[0] & 0xffff] = 1;
        return;
    }
    qsort(keys, (size_t)used, sizeof keys[0], by_count);
    for (int i = 0; i < used; i++)
        depths[i] = (uint32_t)(keys[i] >> 16);
    huffman_lengths(depths, used);

    // Leaves that are too deep move up, and others down until there is room for all (Kraft's sum is 1).
    int leaves[16] = {0};
    long space = 0;
    for (int i = 0; i < used; i++)
        leaves[depths[i] > (uint32_t)longest ? (uint32_t)longest : depths[i]]++;
    for (int depth = 1; depth <= longest; depth++)
        space += (long)leaves[depth] << (longest - depth);
    for (; space > 1L << longest; space--) {
        int depth = longest - 1;
        while (!leaves[depth])
            depth--;
        leaves[depth]--;
        leaves[depth + 1] += 2;
        leaves[longest]--;
    }
    int next = 0;
    for (int depth = longest; depth > 0; depth--)
        for (int i = 0; i < leaves[depth]; i++)
            lengths[keys[next++] & 0xffff] = (uint8_t)depth;
}

// A step of the description of code lengths: a length, or a repetition with its extra bits.
typedef struct {
    uint8_t symbol, extra_bits;
    uint16_t extra;
} Step;

static int describe(const uint8_t *lengths, int count, Step *steps)
{
    int n = 0;
    for (int i = 0; i < count;) {
        int run = 1;
        while (i + run < count && lengths[i + run] == lengths[i])
            run++;
        i += run;
        uint8_t length = lengths[i - 1];
        if (length) {
            steps[n++] = (Step){.symbol = length};
            run--;
        }
        while (run >= 3) {
            int most = length ? 6 : run < 11 ? 10 : 138, part = run < most ? run : most;
            steps[n++] = length     ? (Step){.symbol = 16, .extra_bits = 2, .extra = (uint16_t)(part - 3)}
                         : run < 11 ? (Step){.symbol = 17, .extra_bits = 3, .extra = (uint16_t)(part - 3)}
                                    : (Step){.symbol = 18, .extra_bits = 7, .extra = (uint16_t)(part - 11)};
            run -= part;
        }
        while (run-- > 0)
            steps[n++] = (Step){.symbol = length};
    }
    return n;
}

// A block's codes and their description.
typedef struct {
    // Of bytes, end and lengths; then that of the only distance.
    uint8_t lengths[FIXED_LENGTHS];
    uint8_t length_lengths[LENGTH_CODES];
    Step steps[LENGTHS + 1];
    int literal_count, step_count, length_count;
    // Whether the codes are those that every reader knows, which need no description: of very short blocks.
    bool is_fixed;
} Plan;

static const uint8_t length_order[LENGTH_CODES] = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};

static uint8_t fixed_length(int symbol) { return symbol < 144 ? 8 : symbol < 256 ? 9 : symbol < 280 ? 7 : 8; }

// Plans a block; returns its bits.
static uint64_t plan_block(Histogram *histogram, Plan *plan)
{
    histogram->counts[END] = 1;
    code_lengths(histogram->counts, LENGTHS, 15, plan->lengths);
    plan->literal_count = LENGTHS;
    while (!plan->lengths[plan->literal_count - 1])
        plan->literal_count--;
    plan->lengths[plan->literal_count] = 1;
    plan->step_count = describe(plan->lengths, plan->literal_count + 1, plan->steps);
    uint32_t counts[LENGTH_CODES] = {0};
    for (int i = 0; i < plan->step_count; i++)
        counts[plan->steps[i].symbol]++;
    code_lengths(counts, LENGTH_CODES, 7, plan->length_lengths);
    plan->length_count = LENGTH_CODES;
    while (plan->length_count > 4 && !plan->length_lengths[length_order[plan->length_count - 1]])
        plan->length_count--;

    uint64_t bits = 17 + 3 * (uint64_t)plan->length_count + histogram->extra;
    for (int i = 0; i < plan->step_count; i++)
        bits += plan->length_lengths[plan->steps[i].symbol] + plan->steps[i].extra_bits;
    for (int symbol = 0; symbol < plan->literal_count; symbol++)
        bits += (uint64_t)histogram->counts[symbol] * plan->lengths[symbol];

    // Distances are of 5 bits then; those of 1 are in `extra`.
    uint64_t fixed_bits = 3 + histogram->extra;
    for (int symbol = 0; symbol < LENGTHS; symbol++)
        fixed_bits += (uint64_t)histogram->counts[symbol] * (fixed_length(symbol) + (symbol > END ? 4 : 0));
    plan->is_fixed = fixed_bits < bits;
    if (!plan->is_fixed)
        return bits;
    for (int symbol = 0; symbol < FIXED_LENGTHS; symbol++)
        plan->lengths[symbol] = fixed_length(symbol);
    plan->literal_count = FIXED_LENGTHS;
    return fixed_bits;
}

// Symbol and extra bits of a match's length.
static int length_symbol(int length, int *extra_bits, int *extra)
{
    *extra_bits = *extra = 0;
    if (length == LONGEST_MATCH)
        return 285;
    if (length < 11)
        return 254 + length;
    int rest = length - 3, bits = 1;
    while (rest >> (bits + 3))
        bits++;
    *extra_bits = bits;
    *extra = rest & ((1 << bits) - 1);
    return 257 + 4 * bits + (rest >> bits);
}

// How many bytes from `position` on equal the one before it; 0 when they are fewer than 16, where coding them so may not pay.
static size_t run_length(const uint8_t *bytes, size_t position, size_t end)
{
    if (position == 0 || end - position < 16)
        return 0;
    uint64_t first, second, all = 0x0101010101010101u * bytes[position - 1];
    memcpy(&first, bytes + position, 8);
    memcpy(&second, bytes + position + 8, 8);
    if (first != all || second != all)
        return 0;
    size_t last = position + 16;
    while (last < end && bytes[last] == bytes[position - 1])
        last++;
    return last - position;
}

static int next_match(size_t run)
{
    // What is left must not be too short to be a match.
    return run <= LONGEST_MATCH ? (int)run : run < LONGEST_MATCH + 3 ? LONGEST_MATCH - 3 : LONGEST_MATCH;
}

static void count_symbols(const uint8_t *bytes, size_t start, size_t end, Histogram *histogram)
{
    // Neighbors that are equal wait for each other when they are counted in one table.
    uint32_t counts[2][256] = {{0}};
    for (size_t i = start; i < end;) {
        size_t run = run_length(bytes, i, end);
        i += run;
        while (run) {
            int extra_bits, extra, match = next_match(run);
            histogram->counts[length_symbol(match, &extra_bits, &extra)]++;
            histogram->extra += (uint64_t)extra_bits + 1;
            run -= (size_t)match;
        }
        size_t stop = end - i < 8 ? end : i + 8;
        for (; i < stop; i++)
            counts[i & 1][bytes[i]]++;
    }
    for (int byte = 0; byte < 256; byte++)
        histogram->counts[byte] += counts[0][byte] + counts[1][byte];
}

// Joins neighbors whose common code is cheaper, until there are none; returns how many blocks there are.
static size_t join_blocks(Block *blocks, size_t count)
{
    Plan plan;
    for (bool joined = true; joined;) {
        joined = false;
        size_t kept = 0;
        for (size_t i = 0; i < count; i++) {
            if (i + 1 < count) {
                Histogram sum = blocks[i].histogram;
                for (int symbol = 0; symbol < LENGTHS; symbol++)
                    sum.counts[symbol] += blocks[i + 1].histogram.counts[symbol];
                sum.extra += blocks[i + 1].histogram.extra;
                uint64_t bits = plan_block(&sum, &plan);
                if (bits <= blocks[i].bits + blocks[i + 1].bits) {
                    blocks[kept++] = (Block){.end = blocks[i + 1].end, .bits = bits, .histogram = sum};
                    i++;
                    joined = true;
                    continue;
                }
            }
            if (kept != i)
                blocks[kept] = blocks[i];
            kept++;
        }
        count = kept;
    }
    return count;
}

typedef struct {
    uint8_t *target;
    uint64_t bits;
    int count;
} Writer;

static inline void put(Writer *writer, uint32_t bits, int count)
{
    writer->bits |= (uint64_t)bits << writer->count;
    writer->count += count;
    if (writer->count >= 32) {
        for (int i = 0; i < 4; i++)
            writer->target[i] = (uint8_t)(writer->bits >> (8 * i));
        writer->target += 4;
        writer->bits >>= 32;
        writer->count -= 32;
    }
}

static void finish_byte(Writer *writer)
{
    for (; writer->count > 0; writer->count -= 8, writer->bits >>= 8)
        *writer->target++ = (uint8_t)writer->bits;
    writer->bits = 0;
    writer->count = 0;
}

// The codes of RFC 1951, section 3.2.2, their bits reversed as they are written.
static void make_codes(const uint8_t *lengths, int count, uint16_t *codes)
{
    uint32_t used[16] = {0}, next[17] = {0};
    for (int symbol = 0; symbol < count; symbol++)
        used[lengths[symbol]]++;
    used[0] = 0;
    for (int length = 1; length <= 15; length++)
        next[length + 1] = (next[length] + used[length]) << 1;
    for (int symbol = 0; symbol < count; symbol++) {
        uint32_t code = lengths[symbol] ? next[lengths[symbol]]++ : 0, reversed = 0;
        for (int i = 0; i < lengths[symbol]; i++, code >>= 1)
            reversed = reversed << 1 | (code & 1);
        codes[symbol] = (uint16_t)reversed;
    }
}

static void write_stored(Writer *writer, const uint8_t *bytes, size_t count, bool is_last)
{
    do {
        size_t part = count < LONGEST_STORED ? count : LONGEST_STORED;
        put(writer, is_last && part == count, 3);
        finish_byte(writer);
        uint8_t sizes[4] = {(uint8_t)part, (uint8_t)(part >> 8), (uint8_t)~part, (uint8_t)(~part >> 8)};
        memcpy(writer->target, sizes, 4);
        memcpy(writer->target + 4, bytes, part);
        writer->target += 4 + part;
        bytes += part;
        count -= part;
    } while (count);
}

static void write_description(Writer *writer, const Plan *plan)
{
    uint16_t length_codes[LENGTH_CODES];
    put(writer, (uint32_t)(plan->literal_count - 257), 5);
    put(writer, 0, 5);
    put(writer, (uint32_t)(plan->length_count - 4), 4);
    for (int i = 0; i < plan->length_count; i++)
        put(writer, plan->length_lengths[length_order[i]], 3);
    make_codes(plan->length_lengths, LENGTH_CODES, length_codes);
    for (int i = 0; i < plan->step_count; i++) {
        Step step = plan->steps[i];
        put(writer, length_codes[step.symbol], plan->length_lengths[step.symbol]);
        put(writer, step.extra, step.extra_bits);
    }
}

static void write_coded(Writer *writer, const uint8_t *bytes, size_t start, size_t end, size_t granule,
                        const Plan *plan, bool is_last)
{
    uint16_t codes[FIXED_LENGTHS];
    put(writer, is_last, 1);
    put(writer, plan->is_fixed ? 1 : 2, 2);
    if (!plan->is_fixed)
        write_description(writer, plan);
    make_codes(plan->lengths, plan->literal_count, codes);
    // Runs end with a granule, as when they were counted.
    for (size_t i = start; i < end;) {
        size_t part_end = end - i < granule ? end : i - i % granule + granule;
        while (i < part_end) {
            size_t run = run_length(bytes, i, part_end);
            i += run;
            while (run) {
                int extra_bits, extra, match = next_match(run), symbol = length_symbol(match, &extra_bits, &extra);
                put(writer, codes[symbol], plan->lengths[symbol]);
                put(writer, (uint32_t)extra, extra_bits);
                // The distance, whose code is 0.
                put(writer, 0, plan->is_fixed ? 5 : 1);
                run -= (size_t)match;
            }
            size_t stop = part_end - i < 8 ? part_end : i + 8;
            for (; i < stop; i++)
                put(writer, codes[bytes[i]], plan->lengths[bytes[i]]);
        }
    }
    put(writer, codes[END], plan->lengths[END]);
}

bool wc_block_deflate(const uint8_t *bytes, size_t count, wc_bytes *out)
{
    size_t granule = granule_of(count);
    size_t block_count = count ? (count + granule - 1) / granule : 1;
    Block *blocks = calloc(block_count, sizeof *blocks);
    // Stored, no block is longer than this.
    if (!blocks || !wc_bytes_reserve(out, count + 8 * (count / LONGEST_STORED + block_count) + 64)) {
        free(blocks);
        return false;
    }
    Plan plan;
    for (size_t i = 0; i < block_count; i++) {
        size_t start = i * granule;
        blocks[i].end = count - start < granule ? count : start + granule;
        count_symbols(bytes, start, blocks[i].end, &blocks[i].histogram);
        blocks[i].bits = plan_block(&blocks[i].histogram, &plan);
    }
    block_count = join_blocks(blocks, block_count);
    Writer writer = {.target = out->data + out->size};
    size_t start = 0;
    for (size_t i = 0; i < block_count; i++) {
        size_t size = blocks[i].end - start;
        bool is_last = i + 1 == block_count;
        if (blocks[i].bits >= 8 * (uint64_t)size + 40 * (size / LONGEST_STORED + 1)) {
            write_stored(&writer, bytes + start, size, is_last);
        } else {
            plan_block(&blocks[i].histogram, &plan);
            write_coded(&writer, bytes, start, blocks[i].end, granule, &plan, is_last);
        }
        start = blocks[i].end;
    }
    finish_byte(&writer);
    out->size = (size_t)(writer.target - out->data);
    free(blocks);
    return true;
}
