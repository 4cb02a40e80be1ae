/* The compiled core: what the fast tier does with every sentence, and a filter of literals.
 *
 * Plain C without Python's headers, called by hypecheck/native.py through ctypes; every function has
 * a twin in Python that gives the same results (tests/test_native.py). Text is the ASCII text of
 * normalise.py. A handle is used by one thread at a time.
 *
 * A row of weights is as wide as LABELS, filled up to ROW floats. The convolution sums up whole
 * numbers, the linear part floats in one order: a sentence's margins depend on its document alone,
 * never on the processor, the batch that it came in or what was read before.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__)
#include <immintrin.h>
#define X86 1
#endif

#define ROW 24      /* numbers of a row of weights that are summed up */
#define HALVES 32   /* half floats of a row in memory: a line of the cache */
#define LONGEST_WORD 60 /* characters of a word that is cut into pieces; longer ones are unknown */
#define LONGEST 96      /* pieces of a sentence that are read */
#define SUM_SCALE 3.0f
#define TAPS_MAX 9

/* GCC on x86-64 Linux compiles the hot loops for several processors and picks at run time. Nothing
 * is contracted (build_core.FLAGS): all of them round alike. */
#if defined(X86) && __GNUC__ >= 12
#define CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#elif defined(X86)
#define CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define CLONES
#endif

static uint64_t mix(uint64_t h) {
    h ^= h >> 32;
    h *= 0xd6e8feb86659fd93ull;
    h ^= h >> 32;
    return h;
}

static uint64_t hash_bytes(const char *s, size_t n) {
    uint64_t h = 0xcbf29ce484222325ull ^ n;
    for (size_t i = 0; i < n; i++) h = (h ^ (unsigned char)s[i]) * 0x100000001b3ull;
    h = mix(h);
    return h ? h : 1;
}

static uint64_t hash_pair(uint64_t a, uint64_t b) {
    uint64_t h = mix(a * 0x9e3779b97f4a7c15ull + b + 0x632be59bd9b4e019ull);
    return h ? h : 1;
}

static int is_digit(char c) { return c >= '0' && c <= '9'; }
static int is_lower(char c) { return c >= 'a' && c <= 'z'; }
static int is_upper(char c) { return c >= 'A' && c <= 'Z'; }
static char lower(char c) { return is_upper(c) ? (char)(c + 32) : c; }
static int is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r') || (c >= 28 && c <= 31); }

static size_t power_of_two(size_t n) {
    size_t p = 64;
    while (p < n) p *= 2;
    return p;
}

/* ---- growing arrays and a set of hashes that is emptied by a new stamp ---- */

static int grow(void **data, size_t *room, size_t wanted, size_t width) {
    if (wanted <= *room) return 1;
    size_t next = wanted + wanted / 2 + 64;
    void *more = realloc(*data, next * width);
    if (!more) return 0;
    *data = more;
    *room = next;
    return 1;
}

typedef struct {
    uint64_t *key;
    uint32_t *stamp;
    uint32_t now;
    size_t size;
} Seen;

static int seen_reset(Seen *s, size_t expected) {
    size_t size = power_of_two(expected * 2);
    if (size > s->size) {
        free(s->key);
        free(s->stamp);
        s->key = malloc(size * sizeof *s->key);
        s->stamp = calloc(size, sizeof *s->stamp);
        s->now = 0;
        s->size = s->key && s->stamp ? size : 0;
        if (!s->size) return 0;
    }
    if (++s->now == 0) {
        memset(s->stamp, 0, s->size * sizeof *s->stamp);
        s->now = 1;
    }
    return 1;
}

/* Say whether `key` is new, and remember it. */
static int seen_add(Seen *s, uint64_t key) {
    size_t i = key & (s->size - 1);
    while (s->stamp[i] == s->now) {
        if (s->key[i] == key) return 0;
        i = (i + 1) & (s->size - 1);
    }
    s->stamp[i] = s->now;
    s->key[i] = key;
    return 1;
}

/* ---- the model ---- */

typedef struct {
    int size, blocks;   /* rows of a block, and how many blocks */
    int groups;         /* of four rows, in a block */
    int panels;         /* of PANEL columns */
    const float *scale; /* (blocks * size,), what 1 stands for in a row */
    int8_t *weights;    /* (panels, blocks, groups, PANEL, 4), nothing where there is no weight */
} Layer;

enum { WORDS, BEFORE, AFTER, DOCUMENT, GROUPS };

typedef struct {
    uint64_t hash; /* 0: empty */
    int32_t row[GROUPS];
} Gram;

typedef struct {
    uint64_t key;
    int32_t row;
} Chars;

typedef struct {
    uint64_t hash;
    int32_t size;
    float sum[ROW];
} Word; /* the character n-grams of one word, summed */

typedef struct {
    uint64_t hash;
    int32_t id; /* place in the vocabulary */
    int32_t at; /* of its text in `pieces_text` */
    int32_t size;
} Piece;

/* Rows of the signals that every sentence has, in the order in which native.py gives them. */
enum {
    S_LENGTH = 0, S_STOP = 9, S_CAPITALS = 14, S_TITLE, S_NUMBER, S_SYMBOL, S_QUOTE,
    S_PLACE = 19, S_SELLING = 22, S_REPORTING = 28, S_DOCUMENT = 34, S_ELSEWHERE = 40, S_END = 43
};

typedef struct {
    /* given, owned by the caller */
    const uint16_t *weights; /* (n_rows, HALVES), half floats */
    int32_t n_rows;
    const int8_t *embedding;      /* (n_pieces, width) */
    const float *embedding_scale; /* (n_pieces,) */
    const float *inverse, *unit;  /* (filters,), see conv.Steps */
    const int16_t *offset;        /* (filters,) */
    int32_t n_pieces, width, taps, filters, unknown, keep;
    /* own */
    float bias[ROW];
    double scales[6]; /* words, chars, before, after, document, signals */
    int32_t signal[S_END];
    uint64_t selling[32], reporting[32];
    int32_t n_selling, n_reporting;
    Gram *grams;
    size_t grams_size, grams_used;
    Chars *chars;
    size_t chars_size;
    Word *word_cache;
    size_t word_cache_size, word_cache_used;
    char *pieces_text;
    Piece *pieces;
    size_t pieces_size;
    Layer products; /* an embedding by the kernel: columns in the order of a row of the table */
    int32_t *products_sum; /* by column, of its weights */
    Layer before, after, whole, hidden_pooled, hidden_context, last;
    float *context_bias, *hidden_bias, *last_bias;
    int16_t **table; /* by piece: (filters / WIDE, taps, WIDE), or NULL until it is first met */
    int32_t *kept_of; /* slots behind the ones that are kept for good */
    int32_t used, next_spare;
    int16_t **slabs;
    int32_t n_slabs;
    int16_t *spare;
    /* scratch */
    char *buffer;
    size_t buffer_room;
    struct Token { uint64_t hash; int32_t at, size, again; } *tokens;
    size_t tokens_room;
    int32_t *first_token; /* per sentence of the document, and the end */
    size_t first_token_room;
    int32_t *rows; /* entries of distinct 1- and 2-grams, then 3-grams, by sentence */
    size_t rows_room;
    int32_t *row_bounds; /* per sentence: first, end of 1-2-grams, end */
    size_t row_bounds_room;
    Seen seen;
    int32_t *ids;
    size_t ids_room;
    struct Clause { int64_t start, end; double weight; } *clauses;
    size_t clauses_room;
    double *weights_of; /* by word */
    size_t weights_of_room;
    float *pooled, *around, *context, *hidden;
    size_t pooled_room, around_room, context_room, hidden_room;
} Model;

#define PANEL 32   /* columns of a layer that are summed up together */
#define WIDE 64    /* filters that are summed up together */
#define SLAB 256   /* rows of the table that are allocated together */
#define SPARE 1024 /* rows for pieces met after the table is full, used in turn */
#define WORD_CACHE 16384

/* Read a half float. Moved to where a float has them, its bits stand for a number 2^112 times too
 * small; the product is exact. */
static inline float half(uint16_t x) {
    uint32_t bits = (uint32_t)(x & 0x7fff) << 13 | (uint32_t)(x & 0x8000) << 16;
    float w;
    memcpy(&w, &bits, 4);
    return w * 0x1p112f;
}

/* Add a row of half floats to `sum`. */
static inline void add_row(float *restrict sum, const uint16_t *restrict row) {
    for (int k = 0; k < ROW; k++) sum[k] += half(row[k]);
}

static size_t grams_slot(const Model *m, uint64_t hash) {
    size_t i = hash & (m->grams_size - 1);
    while (m->grams[i].hash && m->grams[i].hash != hash) i = (i + 1) & (m->grams_size - 1);
    return i;
}

static int grams_put(Model *m, uint64_t hash, int group, int32_t row) {
    if (4 * m->grams_used >= 3 * m->grams_size) {
        Gram *old = m->grams;
        size_t size = m->grams_size;
        if (!(m->grams = calloc(2 * size, sizeof *m->grams))) {
            m->grams = old;
            return 0;
        }
        m->grams_size = 2 * size;
        for (size_t i = 0; i < size; i++)
            if (old[i].hash) m->grams[grams_slot(m, old[i].hash)] = old[i];
        free(old);
    }
    Gram *gram = &m->grams[grams_slot(m, hash)];
    if (!gram->hash) {
        m->grams_used++;
        gram->hash = hash;
        for (int g = 0; g < GROUPS; g++) gram->row[g] = -1;
    }
    gram->row[group] = row;
    return 1;
}

/* Give the entry of a gram, or -1; its weights, which will be summed up, are fetched. */
static int32_t grams_find(const Model *m, uint64_t hash) {
    size_t i = grams_slot(m, hash);
    if (!m->grams[i].hash) return -1;
    for (int g = 0; g < GROUPS; g++)
        if (m->grams[i].row[g] >= 0)
            __builtin_prefetch(m->weights + (size_t)m->grams[i].row[g] * HALVES);
    return (int32_t)i;
}

/* Have what grams_find() will look at fetched: the table is larger than the caches. */
static void grams_fetch(const Model *m, uint64_t hash) {
    __builtin_prefetch(&m->grams[hash & (m->grams_size - 1)]);
}

static uint64_t chars_key(const char *s, size_t n) {
    uint64_t key = n;
    for (size_t i = 0; i < n; i++) key = key << 8 | (unsigned char)s[i];
    return key;
}

static size_t chars_slot(const Model *m, uint64_t key) {
    size_t i = mix(key) & (m->chars_size - 1);
    while (m->chars[i].key && m->chars[i].key != key) i = (i + 1) & (m->chars_size - 1);
    return i;
}

static int read_vocabulary(Model *m, const char *text, size_t size) {
    const char *end = text + size;
    size_t words = 0, chars = 0;
    for (const char *p = text; p && p < end; p = memchr(p, '\n', (size_t)(end - p)), p += p != NULL) {
        words += *p == 'w';
        chars += *p == 'c';
    }
    m->grams_size = power_of_two(words + words / 4);
    m->grams = calloc(m->grams_size, sizeof *m->grams);
    m->chars_size = power_of_two(chars + chars / 2);
    m->chars = calloc(m->chars_size, sizeof *m->chars);
    if (!m->grams || !m->chars) return 0;
    int32_t row = 0;
    for (const char *p = text; p < end; row++) {
        const char *stop = memchr(p, '\n', (size_t)(end - p));
        if (!stop) stop = end;
        const char *s = p + 1;
        size_t n = stop > s ? (size_t)(stop - s) : 0;
        int group = *p == 'w' ? WORDS : *p == '<' ? BEFORE : *p == '>' ? AFTER
                  : *p == 'd' ? DOCUMENT : -1;
        if (group >= 0) {
            uint64_t hash = 0;
            const char *q = s;
            for (;;) {
                const char *gap = memchr(q, ' ', (size_t)(stop - q));
                const char *to = gap ? gap : stop;
                uint64_t h = hash_bytes(q, (size_t)(to - q));
                hash = hash ? hash_pair(hash, h) : h;
                if (!gap) break;
                q = gap + 1;
            }
            if (!grams_put(m, hash, group, row)) return 0;
        } else if (*p == 'c' && n <= 7) {
            uint64_t key = chars_key(s, n);
            size_t i = chars_slot(m, key);
            m->chars[i].key = key;
            m->chars[i].row = row;
        }
        p = stop + 1;
    }
    return row == m->n_rows;
}

static size_t piece_slot(const Model *m, uint64_t hash, const char *s, int32_t n, int tail) {
    size_t i = hash & (m->pieces_size - 1);
    for (; m->pieces[i].hash; i = (i + 1) & (m->pieces_size - 1)) {
        const Piece *p = &m->pieces[i];
        if (p->hash == hash && p->size == n && (p->at & 1) == tail
            && !memcmp(m->pieces_text + (p->at >> 1), s, (size_t)n))
            break;
    }
    return i;
}

static uint64_t piece_hash(uint64_t prefix, int tail) {
    uint64_t h = mix(prefix + (tail ? 0x51ed270b7a3ull : 0));
    return h ? h : 1;
}

static uint64_t add_byte(uint64_t h, char c) { return (h ^ (unsigned char)c) * 0x100000001b3ull; }

static int read_pieces(Model *m, const char *text, size_t size) {
    m->pieces_text = malloc(size + 1);
    m->pieces_size = power_of_two((size_t)m->n_pieces * 3);
    m->pieces = calloc(m->pieces_size, sizeof *m->pieces);
    if (!m->pieces_text || !m->pieces) return 0;
    memcpy(m->pieces_text, text, size);
    m->pieces_text[size] = '\n';
    int32_t id = 0;
    for (size_t p = 0; p <= size; id++) {
        char *stop = memchr(m->pieces_text + p, '\n', size + 1 - p);
        size_t end = (size_t)(stop - m->pieces_text);
        int tail = end - p > 2 && m->pieces_text[p] == '#' && m->pieces_text[p + 1] == '#';
        size_t at = p + (tail ? 2 : 0);
        uint64_t h = 0;
        for (size_t i = at; i < end; i++) h = add_byte(h, m->pieces_text[i]);
        h = piece_hash(h, tail);
        size_t i = piece_slot(m, h, m->pieces_text + at, (int32_t)(end - at), tail);
        if (!m->pieces[i].hash) {
            Piece piece = {h, id, (int32_t)(at << 1 | (size_t)tail), (int32_t)(end - at)};
            m->pieces[i] = piece;
        }
        p = end + 1;
    }
    return id == m->n_pieces;
}

/* Give zeros that begin with a line of the cache. */
static void *zeros(size_t n, size_t width) {
    void *p = NULL;
    if (posix_memalign(&p, 64, (n ? n : 1) * width)) return NULL;
    memset(p, 0, n * width);
    return p;
}

static int up(int n, int to) { return (n + to - 1) / to * to; }

static int layer_columns(const Layer *l) { return l->panels * PANEL; }

static int layer_new(Layer *l, int depth, int blocks, int columns, const float *scale) {
    l->size = depth / blocks;
    l->blocks = blocks;
    l->groups = (l->size + 3) / 4;
    l->panels = (columns + PANEL - 1) / PANEL;
    l->scale = scale;
    l->weights = zeros((size_t)l->panels * blocks * l->groups * PANEL * 4, 1);
    return l->weights != NULL;
}

static void layer_put(Layer *l, int row, int column, int8_t weight) {
    int block = row / l->size, k = row % l->size;
    size_t panel = (size_t)(column / PANEL) * l->blocks + block;
    l->weights[((panel * l->groups + k / 4) * PANEL + column % PANEL) * 4 + k % 4] = weight;
}

/* Make a layer of rows of int8, `columns` each. */
static int layer_of(Layer *l, const int8_t *w, const float *scale, int depth, int blocks,
                    int columns) {
    if (!layer_new(l, depth, blocks, columns, scale)) return 0;
    for (int k = 0; k < depth; k++)
        for (int j = 0; j < columns; j++) layer_put(l, k, j, w[(size_t)k * columns + j]);
    return 1;
}

static float *bias_of(const int8_t *w, float scale, int columns) {
    float *out = zeros((size_t)up(columns, PANEL), sizeof *out);
    for (int j = 0; out && j < columns; j++) out[j] = (float)w[j] * scale;
    return out;
}

void hype_free(Model *m) {
    if (!m) return;
    free(m->grams); free(m->chars); free(m->word_cache); free(m->pieces_text); free(m->pieces);
    Layer *layers[] = {&m->products, &m->before, &m->after, &m->whole, &m->hidden_pooled,
                       &m->hidden_context, &m->last};
    for (int i = 0; i < 7; i++) free(layers[i]->weights);
    free(m->products_sum); free(m->context_bias); free(m->hidden_bias); free(m->last_bias);
    if (m->slabs) for (int32_t i = 0; i < m->n_slabs; i++) free(m->slabs[i]);
    free(m->slabs); free(m->table); free(m->kept_of); free(m->spare);
    free(m->buffer); free(m->tokens); free(m->first_token); free(m->rows); free(m->row_bounds);
    free(m->seen.key); free(m->seen.stamp); free(m->ids);
    free(m->clauses); free(m->weights_of);
    free(m->pooled); free(m->around); free(m->context); free(m->hidden);
    free(m);
}

static int32_t hash_list(uint64_t *out, const char *words) {
    int32_t n = 0;
    for (const char *p = words; *p && n < 32;) {
        size_t size = strcspn(p, " ");
        out[n++] = hash_bytes(p, size);
        p += size + (p[size] == ' ');
    }
    return n;
}

/* The linear part. `scales`: of words, chars, before, after, document, signals. */
Model *hype_new(const char *vocabulary, int64_t vocabulary_size, const uint16_t *weights,
                int32_t n_rows, const float *bias, const double *scales, const int32_t *signal,
                const char *selling, const char *reporting) {
    Model *m = calloc(1, sizeof *m);
    if (!m) return NULL;
    m->weights = weights;
    m->n_rows = n_rows;
    memcpy(m->bias, bias, ROW * sizeof(float));
    memcpy(m->scales, scales, sizeof m->scales);
    memcpy(m->signal, signal, sizeof m->signal);
    m->n_selling = hash_list(m->selling, selling);
    m->n_reporting = hash_list(m->reporting, reporting);
    m->word_cache_size = WORD_CACHE * 2;
    m->word_cache = calloc(m->word_cache_size, sizeof *m->word_cache);
    if (!m->word_cache || !read_vocabulary(m, vocabulary, (size_t)vocabulary_size)) {
        hype_free(m);
        return NULL;
    }
    return m;
}

/* The convolution; `keep`: how many pieces may hold their products for good. */
int hype_conv(Model *m, const char *pieces, int64_t pieces_size, int32_t n_pieces, int32_t unknown,
              const int8_t *embedding, const float *embedding_scale, int32_t width,
              const int8_t *kernel, const float *inverse, const float *unit, const int16_t *offset,
              int32_t taps, int32_t filters, const int8_t *context, const float *context_scale,
              int32_t n_context, const int8_t *hidden, const float *hidden_scale,
              int32_t n_hidden, const int8_t *out, const float *out_scale, int32_t n_out,
              int32_t keep) {
    if (taps > TAPS_MAX || taps % 2 == 0) return 0;
    m->n_pieces = n_pieces; m->unknown = unknown;
    m->embedding = embedding; m->embedding_scale = embedding_scale; m->width = width;
    m->inverse = inverse; m->unit = unit; m->offset = offset;
    m->taps = taps; m->filters = filters;
    m->keep = keep < n_pieces ? keep : n_pieces;
    int f = 2 * filters, wide = up(filters, WIDE);
    m->table = calloc((size_t)n_pieces, sizeof *m->table);
    m->n_slabs = (m->keep + SLAB - 1) / SLAB;
    m->slabs = calloc((size_t)m->n_slabs + 1, sizeof *m->slabs);
    m->kept_of = malloc(SPARE * sizeof *m->kept_of);
    m->products_sum = calloc((size_t)taps * wide, sizeof *m->products_sum);
    m->context_bias =
        bias_of(context + (size_t)3 * f * n_context, context_scale[3 * f], n_context);
    m->hidden_bias = bias_of(hidden + (size_t)(f + n_context) * n_hidden,
                             hidden_scale[f + n_context], n_hidden);
    m->last_bias = bias_of(out + (size_t)n_hidden * n_out, out_scale[n_hidden], n_out);
    size_t step = (size_t)f * n_context;
    if (!m->table || !m->slabs || !m->kept_of || !m->products_sum || !m->context_bias
        || !m->hidden_bias || !m->last_bias
        || !layer_new(&m->products, width, 1, taps * wide, NULL)
        || !layer_of(&m->before, context, context_scale, f, 2, n_context)
        || !layer_of(&m->after, context + step, context_scale + f, f, 2, n_context)
        || !layer_of(&m->whole, context + 2 * step, context_scale + 2 * f, f, 2, n_context)
        || !layer_of(&m->hidden_pooled, hidden, hidden_scale, f, 2, n_hidden)
        || !layer_of(&m->hidden_context, hidden + (size_t)f * n_hidden, hidden_scale + f,
                     n_context, 1, n_hidden)
        || !layer_of(&m->last, out, out_scale, n_hidden, 1, n_out))
        return 0;
    for (int i = 0; i < SPARE; i++) m->kept_of[i] = -1;
    for (int k = 0; k < taps; k++)
        for (int j = 0; j < filters; j++) {
            int column = (j / WIDE * taps + k) * WIDE + j % WIDE;
            for (int w = 0; w < width; w++) {
                int8_t weight = kernel[((size_t)k * width + w) * filters + j];
                layer_put(&m->products, w, column, weight);
                m->products_sum[column] += weight;
            }
        }
    return read_pieces(m, pieces, (size_t)pieces_size);
}

/* ---- the linear part ---- */

static int is_tone(char c) {
    return c == '%' || c == '$' || c == '!' || c == '?' || c == '^' || c == '*' || c == ':'
           || c == '"';
}

/* Append the tokens of `s` (features.tokenize) to the document's; give how many. */
static int32_t tokenize(Model *m, const char *s, int64_t n, size_t *filled, int32_t count) {
    if (!grow((void **)&m->buffer, &m->buffer_room, *filled + (size_t)n, 1)) return -1;
    if (!grow((void **)&m->tokens, &m->tokens_room, (size_t)count + (size_t)n, sizeof *m->tokens))
        return -1;
    char *b = m->buffer + *filled;
    size_t size = 0;
    for (int64_t i = 0; i < n; i++) {
        char c = lower(s[i]);
        if (is_digit(c)) {
            while (i + 1 < n && is_digit(s[i + 1])) i++;
            c = '0';
        }
        b[size++] = c;
    }
    for (size_t i = 0; i < size;) {
        char c = b[i];
        size_t j = i + 1;
        if (is_lower(c) || c == '0') {
            while (j < size && (is_lower(b[j]) || b[j] == '0' || b[j] == '\'')) j++;
        } else if (!is_tone(c)) {
            i = j;
            continue;
        }
        struct Token t = {hash_bytes(b + i, j - i), (int32_t)(*filled + i), (int32_t)(j - i), 0};
        m->tokens[count++] = t;
        i = j;
    }
    *filled += size;
    return count;
}

CLONES static void add_rows(float *restrict total, const uint16_t *weights, const int32_t *rows,
                            int64_t n) {
    float sum[ROW];
    memcpy(sum, total, sizeof sum);
    for (int64_t i = 0; i < n; i++) {
        if (rows[i] < 0) continue;
        add_row(sum, weights + (size_t)rows[i] * HALVES);
    }
    memcpy(total, sum, sizeof sum);
}

static void add_scaled(float *out, const float *sum, float scale) {
    for (int k = 0; k < ROW; k++) out[k] += sum[k] * scale;
}

static float group_scale(double scale, int64_t n) { return (float)(scale / sqrt((double)(n ? n : 1))); }

/* Sum the distinct character 2-5-grams of one word, its ends marked by spaces. */
static int word_row(Model *m, const char *s, int32_t n, Word *out) {
    char small[128];
    char *padded = n + 2 <= 128 ? small : malloc((size_t)n + 2);
    if (!padded || !seen_reset(&m->seen, (size_t)(n + 2) * 4)) return 0;
    padded[0] = padded[n + 1] = ' ';
    memcpy(padded + 1, s, (size_t)n);
    memset(out->sum, 0, sizeof out->sum);
    out->size = 0;
    for (int g = 2; g <= 5; g++)
        for (int i = 0; i + g <= n + 2; i++) {
            uint64_t key = chars_key(padded + i, (size_t)g);
            if (!seen_add(&m->seen, mix(key))) continue;
            out->size++;
            const Chars *c = &m->chars[chars_slot(m, key)];
            if (!c->key) continue;
            add_row(out->sum, m->weights + (size_t)c->row * HALVES);
        }
    if (padded != small) free(padded);
    return 1;
}

static const Word *word_of(Model *m, const struct Token *t, Word *own) {
    if (t->size > 32) return word_row(m, m->buffer + t->at, t->size, own) ? own : NULL;
    size_t i = t->hash & (m->word_cache_size - 1);
    while (m->word_cache[i].hash) {
        if (m->word_cache[i].hash == t->hash) return &m->word_cache[i];
        i = (i + 1) & (m->word_cache_size - 1);
    }
    if (!word_row(m, m->buffer + t->at, t->size, own)) return NULL;
    if (m->word_cache_used >= WORD_CACHE) {
        memset(m->word_cache, 0, m->word_cache_size * sizeof *m->word_cache);
        m->word_cache_used = 0;
        i = t->hash & (m->word_cache_size - 1);
    }
    m->word_cache_used++;
    m->word_cache[i] = *own;
    m->word_cache[i].hash = t->hash;
    return &m->word_cache[i];
}

/* Find the distinct n-grams of one sentence; rows hold entries of `grams`, -1 for unknown ones. */
static int64_t gram_rows(Model *m, struct Token *t, int32_t n, int64_t at, int64_t *short_end) {
    if (!grow((void **)&m->rows, &m->rows_room, (size_t)at + 3 * (size_t)n, sizeof *m->rows)
        || !seen_reset(&m->seen, 3 * (size_t)n))
        return -1;
    for (int32_t i = 0; i < n; i++) {
        t[i].again = !seen_add(&m->seen, t[i].hash);
        if (!t[i].again) m->rows[at++] = grams_find(m, t[i].hash);
    }
    for (int32_t i = 0; i + 1 < n; i++) {
        uint64_t h = hash_pair(t[i].hash, t[i + 1].hash);
        if (seen_add(&m->seen, h)) m->rows[at++] = grams_find(m, h);
    }
    *short_end = at;
    for (int32_t i = 0; i + 2 < n; i++) {
        uint64_t h = hash_pair(hash_pair(t[i].hash, t[i + 1].hash), t[i + 2].hash);
        if (seen_add(&m->seen, h)) m->rows[at++] = grams_find(m, h);
    }
    return at;
}

CLONES static void add_group(float *restrict out, const Model *m, const int32_t *entries,
                             int64_t n, int group) {
    float sum[ROW] = {0};
    for (int64_t i = 0; i < n; i++) {
        if (entries[i] < 0) continue;
        int32_t row = m->grams[entries[i]].row[group];
        if (row < 0) continue;
        add_row(sum, m->weights + (size_t)row * HALVES);
    }
    memcpy(out, sum, sizeof sum);
}

static int holds(const uint64_t *list, int32_t n, uint64_t hash) {
    for (int32_t i = 0; i < n; i++)
        if (list[i] == hash) return 1;
    return 0;
}

/* The signals of features._shape, in its order. */
static int shape(const Model *m, const char *s, int64_t n, int32_t tokens, int32_t *rows) {
    const int32_t *signal = m->signal;
    int count = 0;
    int length = tokens / 4 < 8 ? tokens / 4 : 8;
    char last = n ? s[n - 1] : 0;
    rows[count++] = signal[S_LENGTH + length];
    rows[count++] = signal[S_STOP + (last == '.' ? 0 : last == '!' ? 1 : last == '?' ? 2
                                     : last == ':' ? 3 : 4)];
    int64_t upper_letters = 0, lower_letters = 0;
    int title = 1, cased = 0, digit = 0, symbol = 0, quote = 0;
    for (int64_t i = 0; i < n; i++) {
        char c = s[i];
        if (is_upper(c)) {
            upper_letters++;
            if (cased) title = 0;
            cased = 1;
        } else if (is_lower(c)) {
            lower_letters++;
            if (!cased) title = 0;
            cased = 1;
        } else {
            cased = 0;
            digit |= is_digit(c);
            symbol |= c == '^';
            quote |= c == '"';
        }
    }
    if (upper_letters + lower_letters > 3 && !lower_letters)
        rows[count++] = signal[S_CAPITALS];
    else if (tokens > 2 && title && upper_letters)
        rows[count++] = signal[S_TITLE];
    if (digit) rows[count++] = signal[S_NUMBER];
    if (symbol) rows[count++] = signal[S_SYMBOL];
    if (quote) rows[count++] = signal[S_QUOTE];
    return count;
}

static int score_linear(Model *m, const char *text, const int64_t *start, const int64_t *end,
                        int32_t n, const int32_t *hit_first, const int32_t *hit_rows, int32_t live,
                        float *out, int labels) {
    size_t filled = 0;
    int32_t count = 0;
    if (!grow((void **)&m->first_token, &m->first_token_room, (size_t)n + 1,
              sizeof *m->first_token)
        || !grow((void **)&m->row_bounds, &m->row_bounds_room, 2 * (size_t)n + 1,
                 sizeof *m->row_bounds))
        return 0;
    for (int32_t i = 0; i < n; i++) {
        m->first_token[i] = count;
        count = tokenize(m, text + start[i], end[i] - start[i], &filled, count);
        if (count < 0) return 0;
    }
    m->first_token[n] = count;
    for (int32_t i = 0; i < n; i++)
        for (int32_t k = m->first_token[i]; k < m->first_token[i + 1]; k++) {
            uint64_t h = m->tokens[k].hash;
            const Word *word = &m->word_cache[h & (m->word_cache_size - 1)];
            __builtin_prefetch(word);
            __builtin_prefetch((const char *)word + 64);
            grams_fetch(m, h);
            if (k + 1 >= m->first_token[i + 1]) break;
            grams_fetch(m, h = hash_pair(h, m->tokens[k + 1].hash));
            if (k + 2 < m->first_token[i + 1]) grams_fetch(m, hash_pair(h, m->tokens[k + 2].hash));
        }

    /* The document's words, and its voice. */
    float shared[ROW], sum[ROW];
    int64_t at = 0, selling = 0, reporting = 0;
    if (!grow((void **)&m->rows, &m->rows_room, (size_t)count, sizeof *m->rows)
        || !seen_reset(&m->seen, (size_t)count))
        return 0;
    for (int32_t i = 0; i < count; i++) {
        uint64_t h = m->tokens[i].hash;
        selling += holds(m->selling, m->n_selling, h);
        reporting += holds(m->reporting, m->n_reporting, h);
        if (seen_add(&m->seen, h)) m->rows[at++] = grams_find(m, h);
    }
    add_group(sum, m, m->rows, at, DOCUMENT);
    memcpy(shared, m->bias, sizeof shared);
    add_scaled(shared, sum, group_scale(m->scales[4], at));
    double total = count ? (double)count : 1.0;
    int sells = (int)((double)selling / total * 50), reports = (int)((double)reporting / total * 100);
    int32_t voice[6];
    int n_voice = 0;
    voice[n_voice++] = m->signal[S_SELLING + (sells < 5 ? sells : 5)];
    voice[n_voice++] = m->signal[S_REPORTING + (reports < 5 ? reports : 5)];
    voice[n_voice++] = m->signal[S_DOCUMENT + (n < 15 ? n : 15) / 3];
    for (int c = 0; c < 3; c++)
        if (live >> c & 1) voice[n_voice++] = m->signal[S_ELSEWHERE + c];

    at = 0;
    for (int32_t i = 0; i < n; i++) {
        int64_t short_end;
        m->row_bounds[2 * i] = (int32_t)at;
        at = gram_rows(m, m->tokens + m->first_token[i], m->first_token[i + 1] - m->first_token[i],
                       at, &short_end);
        if (at < 0) return 0;
        m->row_bounds[2 * i + 1] = (int32_t)short_end;
    }
    m->row_bounds[2 * n] = (int32_t)at;
    int32_t first = grams_find(m, hash_bytes("<start>", 7));
    int32_t last = grams_find(m, hash_bytes("<end>", 5));
    for (int32_t i = 0; i < n; i++) {
        const int32_t *b = m->row_bounds + 2 * i;
        float row[ROW];
        memcpy(row, shared, sizeof row);
        add_group(sum, m, m->rows + b[0], b[2] - b[0], WORDS);
        add_scaled(row, sum, group_scale(m->scales[0], b[2] - b[0]));
        const int32_t *from = i ? m->rows + b[-2] : &first;
        int64_t size = i ? b[-1] - b[-2] : 1;
        add_group(sum, m, from, size, BEFORE);
        add_scaled(row, sum, group_scale(m->scales[2], size));
        from = i + 1 < n ? m->rows + b[2] : &last;
        size = i + 1 < n ? b[3] - b[2] : 1;
        add_group(sum, m, from, size, AFTER);
        add_scaled(row, sum, group_scale(m->scales[3], size));

        int32_t signals[64];
        int32_t tokens = m->first_token[i + 1] - m->first_token[i];
        int count_shape = shape(m, text + start[i], end[i] - start[i], tokens, signals);
        signals[count_shape++] = m->signal[S_PLACE + (i == 0 ? 0 : i == n - 1 ? 1 : 2)];
        for (int k = 0; k < n_voice; k++) signals[count_shape++] = voice[k];
        int32_t hits = hit_first[i + 1] - hit_first[i];
        memset(sum, 0, sizeof sum);
        add_rows(sum, m->weights, hit_rows + hit_first[i], hits);
        add_rows(sum, m->weights, signals, count_shape);
        add_scaled(row, sum, group_scale(m->scales[5], hits + count_shape));

        memset(sum, 0, sizeof sum);
        int64_t chars = 0;
        for (int32_t k = m->first_token[i]; k < m->first_token[i + 1]; k++) {
            const struct Token *t = &m->tokens[k];
            if (t->again) continue;
            Word own;
            const Word *w = word_of(m, t, &own);
            if (!w) return 0;
            chars += w->size;
            for (int j = 0; j < ROW; j++) sum[j] += w->sum[j];
        }
        add_scaled(row, sum, group_scale(m->scales[1], chars));
        memcpy(out + (size_t)i * labels, row, (size_t)labels * sizeof(float));
    }
    return 1;
}

/* ---- word pieces ---- */

static int is_punctuation(char c) {
    return (c >= 33 && c <= 47) || (c >= 58 && c <= 64) || (c >= 91 && c <= 96)
           || (c >= 123 && c <= 126);
}

/* Cut one word, longest piece first; give how many pieces, one for an unknown word, and where in
 * the word each ends. */
static int cut_word(const Model *m, const char *word, int n, int32_t *out, int32_t *ends) {
    int count = 0;
    if (n > LONGEST_WORD) {
        out[0] = m->unknown;
        return 1;
    }
    for (int at = 0; at < n;) {
        uint64_t prefix[LONGEST_WORD + 1];
        prefix[0] = 0;
        for (int i = at; i < n; i++) prefix[i - at + 1] = add_byte(prefix[i - at], word[i]);
        int size = n - at;
        for (; size > 0; size--) {
            uint64_t h = piece_hash(prefix[size], at > 0);
            const Piece *p = &m->pieces[piece_slot(m, h, word + at, size, at > 0)];
            if (p->hash) {
                out[count] = p->id;
                ends[count++] = at + size;
                break;
            }
        }
        if (!size) {
            out[0] = m->unknown;
            return 1;
        }
        at += size;
    }
    return count;
}

/* Cut a sentence into at most LONGEST pieces; `out` has room for LONGEST + LONGEST_WORD, `places`,
 * if it is there, for twice as many: from where to where each piece lies in the sentence. */
static int cut_sentence(const Model *m, const char *s, int64_t n, int32_t *out, int32_t *places) {
    int count = 0;
    char word[LONGEST_WORD];
    int32_t ends[LONGEST_WORD];
    for (int64_t i = 0; i < n && count < LONGEST;) {
        if (is_space(s[i])) {
            i++;
            continue;
        }
        int64_t j = i + 1;
        if (!is_punctuation(s[i]))
            while (j < n && !is_space(s[j]) && !is_punctuation(s[j])) j++;
        int size = j - i > LONGEST_WORD ? LONGEST_WORD + 1 : (int)(j - i);
        if (size <= LONGEST_WORD)
            for (int k = 0; k < size; k++) word[k] = lower(s[i + k]);
        int more = cut_word(m, word, size, out + count, ends);
        if (places)
            for (int k = 0; k < more; k++) {
                places[2 * (count + k)] = (int32_t)i + (k ? ends[k - 1] : 0);
                places[2 * (count + k) + 1] = (int32_t)(k + 1 < more ? i + ends[k] : j);
            }
        count += more;
        i = j;
    }
    if (!count) {
        out[count++] = m->unknown;
        if (places) places[0] = places[1] = 0;
    }
    return count < LONGEST ? count : LONGEST;
}

/* Cut sentences: `ids` (n, LONGEST), `places` (n, LONGEST, 2), `counts` (n,). */
void hype_cut(const Model *m, const char *text, const int64_t *start, const int64_t *end, int32_t n,
              int32_t *ids, int32_t *places, int32_t *counts) {
    for (int32_t i = 0; i < n; i++) {
        int32_t own[LONGEST + LONGEST_WORD], where[2 * (LONGEST + LONGEST_WORD)];
        counts[i] = cut_sentence(m, text + start[i], end[i] - start[i], own, where);
        memcpy(ids + (size_t)i * LONGEST, own, (size_t)counts[i] * sizeof *own);
        memcpy(places + (size_t)i * 2 * LONGEST, where, (size_t)counts[i] * 2 * sizeof *where);
    }
}

/* ---- the convolution ---- */

#define ROWS 6 /* rows that are multiplied together: their sums stay in registers */

/* Sums of a block: `rows` rows of whole numbers, `z` apart, by PANEL columns of weights. */
typedef void Dot(int32_t (*sums)[PANEL], const uint8_t *z, size_t apart, int rows,
                 const int8_t *w, int groups);

static void dot_plain(int32_t (*sums)[PANEL], const uint8_t *z, size_t apart, int rows,
                      const int8_t *w, int groups) {
    for (int r = 0; r < rows; r++, z += apart) {
        memset(sums[r], 0, sizeof sums[r]);
        for (int g = 0; g < groups; g++)
            for (int j = 0; j < PANEL; j++)
                for (int i = 0; i < 4; i++)
                    sums[r][j] += z[4 * g + i] * w[((size_t)g * PANEL + j) * 4 + i];
    }
}

#ifdef X86
#define KERNEL static inline __attribute__((always_inline))
#define AVX2 __attribute__((target("avx2")))
#define VNNI __attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni")))

static int32_t four(const uint8_t *z) {
    int32_t x;
    memcpy(&x, z, 4);
    return x;
}

AVX2 KERNEL void avx2_rows(int32_t (*sums)[PANEL], const uint8_t *z, size_t apart, const int rows,
                           const int8_t *w, int groups) {
    for (int from = 0; from < PANEL; from += 8) {
        __m256i s[ROWS];
        for (int r = 0; r < rows; r++) s[r] = _mm256_setzero_si256();
        for (int g = 0; g < groups; g++) {
            __m256i b = _mm256_loadu_si256((const void *)(w + ((size_t)g * PANEL + from) * 4));
            __m256i even = _mm256_srai_epi16(_mm256_slli_epi16(b, 8), 8);
            __m256i odd = _mm256_srai_epi16(b, 8);
            for (int r = 0; r < rows; r++) {
                __m256i a = _mm256_set1_epi32(four(z + r * apart + 4 * g));
                __m256i a_even = _mm256_and_si256(a, _mm256_set1_epi16(255));
                __m256i a_odd = _mm256_srli_epi16(a, 8);
                s[r] = _mm256_add_epi32(s[r], _mm256_madd_epi16(a_even, even));
                s[r] = _mm256_add_epi32(s[r], _mm256_madd_epi16(a_odd, odd));
            }
        }
        for (int r = 0; r < rows; r++) _mm256_storeu_si256((void *)(sums[r] + from), s[r]);
    }
}

VNNI KERNEL void vnni_rows(int32_t (*sums)[PANEL], const uint8_t *z, size_t apart, const int rows,
                           const int8_t *w, int groups) {
    __m512i s[ROWS], t[ROWS];
    for (int r = 0; r < rows; r++) s[r] = t[r] = _mm512_setzero_si512();
    for (int g = 0; g < groups; g++, w += PANEL * 4) {
        __m512i b = _mm512_loadu_si512(w), c = _mm512_loadu_si512(w + 64);
        for (int r = 0; r < rows; r++) {
            __m512i a = _mm512_set1_epi32(four(z + r * apart + 4 * g));
            s[r] = _mm512_dpbusd_epi32(s[r], a, b);
            t[r] = _mm512_dpbusd_epi32(t[r], a, c);
        }
    }
    for (int r = 0; r < rows; r++) {
        _mm512_storeu_si512(sums[r], s[r]);
        _mm512_storeu_si512(sums[r] + 16, t[r]);
    }
}

/* The number of rows is known where the loops are compiled: they are unrolled. */
#define BY_ROWS(name)                                         \
    switch (rows) {                                           \
    case 1: name(sums, z, apart, 1, w, groups); break;        \
    case 2: name(sums, z, apart, 2, w, groups); break;        \
    case 3: name(sums, z, apart, 3, w, groups); break;        \
    case 4: name(sums, z, apart, 4, w, groups); break;        \
    case 5: name(sums, z, apart, 5, w, groups); break;        \
    default: name(sums, z, apart, ROWS, w, groups);           \
    }

AVX2 static void dot_avx2(int32_t (*sums)[PANEL], const uint8_t *z, size_t apart, int rows,
                          const int8_t *w, int groups) {
    BY_ROWS(avx2_rows)
}

VNNI static void dot_vnni(int32_t (*sums)[PANEL], const uint8_t *z, size_t apart, int rows,
                          const int8_t *w, int groups) {
    BY_ROWS(vnni_rows)
}
#endif

static Dot *dot_now;

/* Multiply in no better way than this: 0 plain C, 1 AVX2, 2 AVX-512 VNNI. Gives the way that is
 * taken. All give the same numbers; for tests and measurements. */
int hype_kernel(int best) {
    int way = 0;
#ifdef X86
    static Dot *const ways[] = {dot_plain, dot_avx2, dot_vnni};
    if (best >= 2 && __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw")
        && __builtin_cpu_supports("avx512vl"))
        way = 2;
    else if (best >= 1 && __builtin_cpu_supports("avx2"))
        way = 1;
    dot_now = ways[way];
#else
    (void)best;
    dot_now = dot_plain;
#endif
    return way;
}

static Dot *dot(void) {
    if (!dot_now) hype_kernel(2);
    return dot_now;
}

/* Round a block of numbers, none below zero, to whole numbers up to 255; give what 1 then stands for. */
CLONES static float round_block(uint8_t *restrict z, const float *restrict x,
                                const float *restrict scale, int n) {
    int32_t top = 0; /* such floats are in the order of their bits */
    for (int k = 0; k < n; k++) {
        float y = x[k] * scale[k];
        int32_t bits;
        memcpy(&bits, &y, 4);
        top = bits > top ? bits : top;
    }
    float most;
    memcpy(&most, &top, 4);
    if (most < 1e-30f) most = 1e-30f;
    float share = 255.0f / most;
    for (int k = 0; k < n; k++) z[k] = (uint8_t)(int32_t)rintf(x[k] * scale[k] * share);
    return most / 255.0f;
}

CLONES static void add_sums(float *restrict to, const int32_t *restrict sums, float step, int add) {
    for (int j = 0; j < PANEL; j++) to[j] = (add ? to[j] : 0.0f) + (float)sums[j] * step;
}

/* out (n, columns of the layer) = [out +] x @ weights. `z` has room for ROWS rows of bytes. */
static void multiply(const Layer *l, float *out, const float *x, int stride, int n, uint8_t *z,
                     int add) {
    Dot *sum_up = dot();
    int columns = layer_columns(l), block = 4 * l->groups;
    size_t apart = (size_t)l->blocks * block;
    for (int i = 0; i < n; i += ROWS) {
        int rows = n - i < ROWS ? n - i : ROWS;
        float step[ROWS][2];
        for (int r = 0; r < rows; r++)
            for (int b = 0; b < l->blocks; b++)
                step[r][b] = round_block(z + r * apart + (size_t)b * block,
                                         x + (size_t)(i + r) * stride + b * l->size,
                                         l->scale + b * l->size, l->size);
        const int8_t *w = l->weights;
        for (int p = 0; p < l->panels; p++)
            for (int b = 0; b < l->blocks; b++, w += (size_t)l->groups * PANEL * 4) {
                int32_t sums[ROWS][PANEL];
                sum_up(sums, z + (size_t)b * block, apart, rows, w, l->groups);
                for (int r = 0; r < rows; r++)
                    add_sums(out + (size_t)(i + r) * columns + p * PANEL, sums[r], step[r][b],
                             add || b);
            }
    }
}

/* Round sums to the table's steps; what they were made of had 128 added, `less` is what that made. */
CLONES static void round_products(int16_t *restrict to, const int32_t *restrict sums,
                                  const int32_t *restrict less, float scale,
                                  const float *restrict inverse, const int16_t *restrict offset,
                                  int n) {
    for (int j = 0; j < n; j++) {
        float x = (float)(sums[j] - 128 * less[j]) * (scale * inverse[j]);
        to[j] = (int16_t)((int32_t)rintf(x) + (offset ? offset[j] : 0));
    }
}

/* Multiply the embeddings of up to ROWS pieces with the kernel; the results go into the table. */
static void make_products(Model *m, const int32_t *ids, int n) {
    Layer *l = &m->products;
    Dot *sum_up = dot();
    size_t apart = 4 * (size_t)l->groups;
    uint8_t z[ROWS * apart];
    for (int r = 0; r < n; r++) {
        const int8_t *e = m->embedding + (size_t)ids[r] * m->width;
        for (int k = 0; k < m->width; k++) z[r * apart + k] = (uint8_t)(e[k] + 128);
        for (size_t k = (size_t)m->width; k < apart; k++) z[r * apart + k] = 0;
    }
    for (int p = 0; p < l->panels; p++) {
        int32_t sums[ROWS][PANEL];
        sum_up(sums, z, apart, n, l->weights + (size_t)p * l->groups * PANEL * 4, l->groups);
        int column = p * PANEL, tap = column / WIDE % m->taps;
        int first = column / WIDE / m->taps * WIDE + column % WIDE; /* of its filters */
        int size = m->filters - first < PANEL ? m->filters - first : PANEL;
        for (int r = 0; size > 0 && r < n; r++)
            round_products(m->table[ids[r]] + column, sums[r], m->products_sum + column,
                           m->embedding_scale[ids[r]], m->inverse + first,
                           tap == m->taps / 2 ? m->offset + first : NULL, size);
    }
}

/* Give a piece's products; those that learn_pieces() had no room for are made, and stay in their
 * place for as many calls as two sentences have pieces. */
static const int16_t *piece_products(Model *m, int32_t id) {
    size_t size = (size_t)m->taps * up(m->filters, WIDE);
    int16_t *to = m->table[id];
    if (to) {
        uintptr_t from = (uintptr_t)m->spare, at = (uintptr_t)to;
        if (!from || at < from || at >= from + SPARE * size * sizeof *to) return to;
        int32_t slot = (int32_t)((at - from) / (size * sizeof *to));
        if ((slot - m->next_spare + SPARE) % SPARE >= 2 * LONGEST) return to;
        m->kept_of[slot] = -1; /* its turn comes too soon: it moves to the end of the queue */
    }
    if (!m->spare && !(m->spare = zeros(SPARE * size, sizeof *to))) return NULL;
    int32_t slot = m->next_spare;
    m->next_spare = (slot + 1) % SPARE;
    if (m->kept_of[slot] >= 0) m->table[m->kept_of[slot]] = NULL;
    m->kept_of[slot] = id;
    m->table[id] = m->spare + (size_t)slot * size;
    make_products(m, &id, 1);
    return m->table[id];
}

/* Give pieces that are met for the first time their products, as long as there is room to keep
 * them. */
static int learn_pieces(Model *m, const int32_t *ids, int64_t n) {
    size_t size = (size_t)m->taps * up(m->filters, WIDE);
    int32_t waiting[ROWS];
    int count = 0, ok = 1;
    for (int64_t i = 0; i < n && m->used < m->keep; i++) {
        if (m->table[ids[i]]) continue;
        int32_t slab = m->used / SLAB;
        if (!m->slabs[slab] && !(m->slabs[slab] = zeros(SLAB * size, sizeof **m->slabs))) {
            ok = 0;
            break;
        }
        m->table[ids[i]] = m->slabs[slab] + (size_t)(m->used++ % SLAB) * size;
        waiting[count++] = ids[i];
        if (count == ROWS) {
            make_products(m, waiting, count);
            count = 0;
        }
    }
    if (count) make_products(m, waiting, count);
    return ok;
}

typedef int16_t Shorts __attribute__((vector_size(64), aligned(2), may_alias));
typedef int16_t Half __attribute__((vector_size(32)));
typedef int32_t Ints __attribute__((vector_size(64)));

/* Maximum and sum of 32 filters over a sentence, nothing below zero counting. */
static inline __attribute__((always_inline)) void pool_some(
    int16_t *most, int32_t *sum, const int16_t *const *rows, int n, const int16_t *const *next,
    int n_next, const int taps, size_t from) {
    Shorts top = {0};
    Ints low = {0}, high = {0};
    for (int t = 0; t < n; t++) {
        for (int k = 0; t < n_next && k < taps; k++)
            __builtin_prefetch(next[t] + from + k * WIDE, 0, 2);
        Shorts y = *(const Shorts *)(rows[t] + from);
        for (int k = 1; k < taps; k++) y += *(const Shorts *)(rows[t + k] + from + k * WIDE);
        y &= y > 0;
        Shorts more = y > top;
        top = (y & more) | (top & ~more);
        union { Shorts all; Half half[2]; } both = {y};
        low += __builtin_convertvector(both.half[0], Ints);
        high += __builtin_convertvector(both.half[1], Ints);
    }
    memcpy(most, &top, sizeof top);
    memcpy(sum, &low, sizeof low);
    memcpy(sum + 16, &high, sizeof high);
}

/* Maximum and scaled sum of all filters; `rows` has taps / 2 rows of zeros at either end. */
CLONES static void pool(float *restrict top, float *restrict sums, const int16_t *const *rows,
                        int n, const int16_t *const *next, int n_next, int taps, int filters,
                        const float *restrict unit) {
    float share = 1.0f / (SUM_SCALE * sqrtf((float)n));
    for (int first = 0; first < filters; first += 32) {
        int16_t most[32];
        int32_t sum[32];
        int size = filters - first < 32 ? filters - first : 32;
        size_t from = (size_t)(first / WIDE) * WIDE * taps + first % WIDE;
        if (taps == 5) pool_some(most, sum, rows, n, next, n_next, 5, from);
        else pool_some(most, sum, rows, n, next, n_next, taps, from);
        for (int f = 0; f < size; f++) top[first + f] = (float)most[f] * unit[first + f];
        for (int f = 0; f < size; f++) sums[first + f] = (float)sum[f] * unit[first + f] * share;
    }
}

static void relu(float *x, const float *bias, int n) {
    for (int j = 0; j < n; j++) {
        float v = x[j] + bias[j];
        x[j] = v > 0 ? v : 0;
    }
}

#define AT_ONCE 96 /* sentences that are computed together: what is made of them stays in the cache */

/* Score some documents whose sentences begin at `doc_first[0]`. */
static int score_conv(Model *m, const char *text, const int64_t *start, const int64_t *end,
                      const int32_t *doc_first, int32_t docs, float *out, int labels) {
    int32_t base = doc_first[0], n = doc_first[docs] - base;
    start += base;
    end += base;
    out += (size_t)base * labels;
    int filters = m->filters, f = 2 * filters, half = m->taps / 2;
    int c = layer_columns(&m->before), h = layer_columns(&m->hidden_pooled);
    int o = layer_columns(&m->last);
    size_t row = (size_t)m->taps * up(filters, WIDE);
    size_t bytes = ROWS * (size_t)(up(f, 4) + up(c, 4) + up(h, 4) + 16);
    if (!grow((void **)&m->pooled, &m->pooled_room, (size_t)(n + docs) * f, sizeof(float))
        || !grow((void **)&m->around, &m->around_room, (size_t)n * 2 * c, sizeof(float))
        || !grow((void **)&m->context, &m->context_room, (size_t)(AT_ONCE + docs) * c,
                 sizeof(float))
        || !grow((void **)&m->hidden, &m->hidden_room,
                 (size_t)AT_ONCE * (h + o) + row / 2 + 1 + bytes / 4 + 1, sizeof(float)))
        return 0;
    float *pooled = m->pooled, *means = pooled + (size_t)n * f;
    float *before = m->around, *after = before + (size_t)n * c;
    int16_t *none = (int16_t *)(m->hidden + (size_t)AT_ONCE * (h + o));
    uint8_t *z = (uint8_t *)(m->hidden + (size_t)AT_ONCE * (h + o) + row / 2 + 1);
    memset(none, 0, row * sizeof *none);
    memset(z, 0, bytes); /* where a block is filled up to four, its weights are nothing */
    /* The pieces of all sentences first: the new ones among them are computed together. */
    if (!grow((void **)&m->ids, &m->ids_room, (size_t)n * (LONGEST + 1) + LONGEST_WORD,
              sizeof *m->ids))
        return 0;
    int32_t *sizes = m->ids + (size_t)n * LONGEST + LONGEST_WORD;
    int64_t count = 0;
    for (int32_t i = 0; i < n; i++) {
        sizes[i] = cut_sentence(m, text + start[i], end[i] - start[i], m->ids + count, NULL);
        count += sizes[i];
    }
    if (!learn_pieces(m, m->ids, count)) return 0;
    /* The rows lie all over a table that is larger than the caches: those of a sentence are fetched
     * while the one before it is summed up. */
    const int16_t *rows[2][LONGEST + TAPS_MAX];
    const int32_t *ids = m->ids;
    for (int32_t i = -1; i < n; i++) {
        const int16_t **here = rows[i & 1], **next = rows[(i + 1) & 1];
        int size = i >= 0 ? sizes[i] : 0, more = i + 1 < n ? sizes[i + 1] : 0;
        for (int k = 0; k < half; k++) next[k] = next[half + more + k] = none;
        for (int k = 0; k < more; k++)
            if (!(next[half + k] = piece_products(m, *ids++))) return 0;
        if (size)
            pool(pooled + (size_t)i * f, pooled + (size_t)i * f + filters, here, size, next + half,
                 more, m->taps, filters, m->unit);
    }
    float *contexts = m->context, *shared = contexts + (size_t)AT_ONCE * c;
    for (int32_t d = 0; d < docs; d++) {
        float *mean = means + (size_t)d * f;
        int32_t size = doc_first[d + 1] - doc_first[d];
        memset(mean, 0, (size_t)f * sizeof(float));
        for (int32_t i = doc_first[d] - base; i < doc_first[d + 1] - base; i++)
            for (int k = 0; k < f; k++) mean[k] += pooled[(size_t)i * f + k];
        for (int k = 0; k < f; k++) mean[k] /= (float)(size ? size : 1);
    }
    multiply(&m->whole, shared, means, f, docs, z, 0);
    multiply(&m->before, before, pooled, f, n, z, 0);
    multiply(&m->after, after, pooled, f, n, z, 0);
    for (int32_t from = 0, d = 0; from < n; from += AT_ONCE) {
        int32_t size = n - from < AT_ONCE ? n - from : AT_ONCE;
        for (int32_t i = from; i < from + size; i++) {
            while (i >= doc_first[d + 1] - base) d++;
            float *to = contexts + (size_t)(i - from) * c;
            memcpy(to, shared + (size_t)d * c, (size_t)c * sizeof(float));
            if (i > doc_first[d] - base)
                for (int k = 0; k < c; k++) to[k] += before[(size_t)(i - 1) * c + k];
            if (i + 1 < doc_first[d + 1] - base)
                for (int k = 0; k < c; k++) to[k] += after[(size_t)(i + 1) * c + k];
            relu(to, m->context_bias, c);
        }
        float *hidden = m->hidden, *last = hidden + (size_t)AT_ONCE * h;
        multiply(&m->hidden_pooled, hidden, pooled + (size_t)from * f, f, size, z, 0);
        multiply(&m->hidden_context, hidden, contexts, c, size, z, 1);
        for (int32_t i = 0; i < size; i++) relu(hidden + (size_t)i * h, m->hidden_bias, h);
        multiply(&m->last, last, hidden, h, size, z, 0);
        for (int32_t i = 0; i < size; i++)
            for (int k = 0; k < labels; k++)
                out[(size_t)(from + i) * labels + k] = last[(size_t)i * o + k] + m->last_bias[k];
    }
    /* A giant document's scratch is given back. */
    if (m->pooled_room > (size_t)4096 * f) {
        free(m->pooled);
        free(m->around);
        m->pooled = m->around = NULL;
        m->pooled_room = m->around_room = 0;
    }
    return 1;
}

/* Score documents: offsets of their sentences into `text`, the first sentence of each document and
 * the end; rows of the rules' signals by sentence, -1 for unknown ones; a bit for each category
 * with a live hit. Margins are (n_sentences, labels). Gives 0 where memory ran out. */
int hype_score(Model *m, const char *text, const int64_t *start, const int64_t *end,
               const int32_t *doc_first, int32_t docs, const int32_t *hit_first,
               const int32_t *hit_rows, const int32_t *live, float *linear, float *conv,
               int32_t labels) {
    for (int32_t d = 0; d < docs; d++) {
        int32_t i = doc_first[d];
        if (doc_first[d + 1] > i
            && !score_linear(m, text, start + i, end + i, doc_first[d + 1] - i, hit_first + i,
                             hit_rows, live[d], linear + (size_t)i * labels, labels))
            return 0;
    }
    for (int32_t d = 0, next; conv && d < docs; d = next) {
        for (next = d + 1; next < docs && doc_first[next + 1] - doc_first[d] <= AT_ONCE;) next++;
        if (doc_first[next] > doc_first[d]
            && !score_conv(m, text, start, end, doc_first + d, next - d, conv, labels))
            return 0;
    }
    return 1;
}

/* Weigh both margins, (n, labels) each, by a stack (labels, 3), the offset last; `p` is (n, labels). */
void hype_weigh(const float *linear, const float *conv, const double *stack, int32_t n,
                int32_t labels, double *p) {
    for (int32_t i = 0; i < n * labels; i++) {
        const double *w = stack + 3 * (i % labels);
        double z = w[2] + (double)linear[i] * w[0] + (double)conv[i] * w[1];
        z = z < -40 ? -40 : z > 40 ? 40 : z;
        p[i] = 1 / (1 + exp(-z));
    }
}

/* Give each document the probability of at least one flag, by category (_Head.documents): `p` is
 * (sentences, labels), `weights` (categories, 3), `out` (docs, categories). */
void hype_documents(const double *p, int32_t labels, const int32_t *doc_first, int32_t docs,
                    int32_t categories, const double *weights, double *out) {
    for (int32_t d = 0; d < docs; d++)
        for (int32_t c = 0; c < categories; c++) {
            const double *w = weights + 3 * c;
            double top = 0, rest = 0;
            for (int32_t i = doc_first[d]; i < doc_first[d + 1]; i++) {
                double x = p[(size_t)i * labels + c];
                rest += x;
                top = x > top ? x : top;
            }
            rest = rest > top ? rest - top : 0;
            top = top < 1e-6 ? 1e-6 : top > 1 - 1e-6 ? 1 - 1e-6 : top;
            double z = w[0] * log(top / (1 - top)) + w[1] * log1p(rest) + w[2];
            out[(size_t)d * categories + c] =
                doc_first[d] < doc_first[d + 1] && z > -40 ? 1 / (1 + exp(-z)) : 0;
        }
}

/* Give the weight towards one label of each white-space word of a sentence (Linear.attribute);
 * `out` has room for one number a word. Gives the number of words, -1 where memory ran out. */
static int32_t attribute(Model *m, const char *s, int64_t n, int32_t label, double *out) {
    size_t filled = 0;
    int32_t count = 0, words = 0;
    if (!grow((void **)&m->first_token, &m->first_token_room, (size_t)n + 2,
              sizeof *m->first_token))
        return -1;
    for (int64_t i = 0; i < n;) {
        if (is_space(s[i])) {
            i++;
            continue;
        }
        int64_t j = i;
        while (j < n && !is_space(s[j])) j++;
        m->first_token[words++] = count;
        count = tokenize(m, s + i, j - i, &filled, count);
        if (count < 0) return -1;
        i = j;
    }
    m->first_token[words] = count;
    double *weight = calloc((size_t)count + 1, sizeof *weight);
    if (!weight) return -1;
    int64_t short_end, grams = gram_rows(m, m->tokens, count, 0, &short_end);
    int64_t chars = 0;
    for (int32_t i = 0; i < count; i++) {
        Word own;
        if (m->tokens[i].again) continue;
        const Word *w = word_of(m, &m->tokens[i], &own);
        if (!w) grams = -1;
        else chars += w->size;
    }
    if (grams < 0) {
        free(weight);
        return -1;
    }
    double scale = m->scales[0] / sqrt((double)(grams ? grams : 1));
    for (int32_t i = 0; i < count; i++) {
        uint64_t h = 0;
        for (int g = 1; g <= 3 && i + g <= count; g++) {
            uint64_t more = m->tokens[i + g - 1].hash;
            h = g == 1 ? more : hash_pair(h, more);
            int32_t entry = grams_find(m, h);
            int32_t row = entry < 0 ? -1 : m->grams[entry].row[WORDS];
            if (row < 0) continue;
            double w = (double)half(m->weights[(size_t)row * HALVES + label]);
            for (int k = 0; k < g; k++) weight[i + k] += w * scale / g;
        }
    }
    double size = sqrt((double)(chars ? chars : 1));
    for (int32_t i = 0; i < count; i++) {
        Word own;
        const Word *w = word_of(m, &m->tokens[i], &own);
        if (w) weight[i] += (double)w->sum[label] * m->scales[1] / size;
    }
    for (int32_t k = 0; k < words; k++) {
        out[k] = 0;
        for (int32_t i = m->first_token[k]; i < m->first_token[k + 1]; i++) out[k] += weight[i];
    }
    free(weight);
    return words;
}

/* ---- the phrase that carries a flag ---- */

/* Count the words of `s`, at most two. */
static int two_words(const char *s, int64_t n) {
    int words = 0;
    for (int64_t i = 0; i < n && words < 2; i++)
        words += !is_space(s[i]) && (i == 0 || is_space(s[i - 1]));
    return words;
}

/* Tell where a border between clauses (spans._BORDER) ends that begins at `i`; `i` for none. */
static int64_t behind_border(const char *s, int64_t n, int64_t i) {
    static const char *const joints[] = {"and", "but", "so", "because", "while", "which", "or",
                                         "yet", "then"};
    int64_t j = i;
    char c = s[i];
    if (is_space(c)) {
        for (j = i + 1; j < n && s[j] == '-';) j++;
        if (j > i + 1 && j < n && is_space(s[j])) return j + 1;
        for (int k = 0; k < 9; k++) {
            int64_t size = (int64_t)strlen(joints[k]);
            if (i + 1 + size < n && !memcmp(s + i + 1, joints[k], (size_t)size)
                && is_space(s[i + 1 + size]))
                return i + 1;
        }
        return i;
    }
    if (strchr(",;:()^|", c)) {
        while (j < n && strchr(",;:()^|", s[j])) j++;
    } else if (c == '.' && i + 2 < n && s[i + 1] == '.' && s[i + 2] == '.') {
        j = i + 3;
    } else if (c == '.' || c == '!' || c == '?') {
        while (j < n && (s[j] == '.' || s[j] == '!' || s[j] == '?')) j++;
        if (j == n || !is_space(s[j])) return i;
    }
    while (j > i && j < n && is_space(s[j])) j++;
    return j;
}

/* Leave out what is no part of a phrase at its ends: marks, and a conjunction before it. */
static int trim_phrase(const char *s, int64_t *from, int64_t *to) {
    static const char *const leads[] = {"and", "but", "so", "because", "while", "or", "yet", "then",
                                        "that"};
    int64_t a = *from, b = *to;
    while (a < b && strchr(" \"'^*-(,;:", s[a])) a++;
    int64_t behind = a;
    for (int k = 0; k < 9;) {
        int64_t size = (int64_t)strlen(leads[k]), i = 0;
        while (i < size && behind + i < b && lower(s[behind + i]) == leads[k][i]) i++;
        if (i == size && behind + i < b && is_space(s[behind + i])) {
            for (behind += i; behind < b && is_space(s[behind]);) behind++;
            k = 0;
        } else {
            k++;
        }
    }
    if (behind < b) a = behind;
    while (b > a && strchr(" \"'^*-),;:.!?", s[b - 1])) b--;
    *from = a;
    *to = b;
    return b > a;
}

/* Find the phrase of a sentence that carries a label (spans.evidence): clauses together, from the
 * heaviest outwards as long as they add weight. Gives 0 where memory ran out. */
static int find_phrase(Model *m, const char *s, int64_t n, int32_t label, int64_t *from,
                       int64_t *to) {
    size_t room = (size_t)n / 2 + 2;
    if (!grow((void **)&m->clauses, &m->clauses_room, room, sizeof *m->clauses)
        || !grow((void **)&m->weights_of, &m->weights_of_room, room, sizeof *m->weights_of))
        return 0;
    struct Clause *clause = m->clauses;
    int32_t count = 0;
    int64_t last = 0;
    for (int64_t i = 0; i < n;) {
        int64_t j = behind_border(s, n, i);
        if (j == i) {
            i++;
            continue;
        }
        if (two_words(s + last, i - last) == 2) {
            struct Clause found = {last, i, 0};
            clause[count++] = found;
            last = j;
        }
        i = j;
    }
    if (!count || two_words(s + last, n - last) == 2) {
        struct Clause found = {last, n, 0};
        clause[count++] = found;
    } else {
        clause[count - 1].end = n;
    }
    *from = 0;
    *to = n;
    if (count > 1) {
        if (attribute(m, s, n, label, m->weights_of) < 0) return 0;
        int32_t word = 0, k = 0;
        for (int64_t i = 0; i < n; i++) {
            if (is_space(s[i]) || (i && !is_space(s[i - 1]))) continue;
            while (k + 1 < count && i >= clause[k + 1].start) k++;
            clause[k].weight += m->weights_of[word++];
        }
        int32_t best = 0;
        for (k = 1; k < count; k++)
            if (clause[k].weight > clause[best].weight) best = k;
        double bar = 0.25 * clause[best].weight;
        if (!(bar > 0)) bar = 0;
        int32_t a = best, b = best;
        while (a > 0 && clause[a - 1].weight > bar) a--;
        while (b + 1 < count && clause[b + 1].weight > bar) b++;
        *from = clause[a].start;
        *to = clause[b].end;
    }
    if (!trim_phrase(s, from, to)) {
        *from = 0;
        *to = n;
    }
    return 1;
}

/* Give what is flagged: rows of sentence, category, label, and where the phrase begins and ends in
 * its sentence, for every probability of a category that reaches its bar; `p` is (n, labels), the
 * categories' first. `kinds`: the labels of each category's kinds from `kind_first` on; of those
 * as likely the last counts. Gives how many there are, those that find no room are not written; -1
 * where memory ran out. */
int64_t hype_flags(Model *m, const char *text, const int64_t *start, const int64_t *end, int32_t n,
                   const double *p, int32_t labels, int32_t categories, const double *bars,
                   const int32_t *kind_first, const int32_t *kinds, int32_t *out, int64_t room) {
    int64_t count = 0;
    for (int32_t i = 0; i < n; i++, p += labels)
        for (int32_t c = 0; c < categories; c++) {
            if (!(p[c] >= bars[c])) continue;
            if (count < room) {
                int32_t label = kinds[kind_first[c]];
                for (int32_t k = kind_first[c] + 1; k < kind_first[c + 1]; k++)
                    if (p[kinds[k]] >= p[label]) label = kinds[k];
                int64_t from, to;
                if (!find_phrase(m, text + start[i], end[i] - start[i], c, &from, &to)) return -1;
                int32_t row[5] = {i, c, label, (int32_t)from, (int32_t)to};
                memcpy(out + 5 * count, row, sizeof row);
            }
            count++;
        }
    return count;
}

/* ---- sentences ---- */

#define TOKEN_MAX 32    /* letters of a word before a stop */
#define KNOWN 65536     /* such words that are remembered */
#define SENTENCE_MAX 2000

typedef struct {
    uint64_t *known; /* words and stops, whose last bit says that a sentence ends there; 0: empty */
    int32_t n_known;
} Cutter;

typedef struct {
    int64_t *start, *end;
    int32_t *block, *hard; /* rows that are left to the caller; ~: for a word that is not known */
    int64_t room, count, n_hard;
} Rows;

void hype_cutter_free(Cutter *c) {
    if (c) free(c->known);
    free(c);
}

Cutter *hype_cutter_new(void) {
    Cutter *c = calloc(1, sizeof *c);
    if (c && !(c->known = calloc(2 * KNOWN, sizeof *c->known))) {
        free(c);
        c = NULL;
    }
    return c;
}

/* Where a word stands: inside of a sentence, first in a block, or first in a later sentence. */
enum { INSIDE, FIRST, LATER };

/* Hash a word and its stop, all digits alike, by where it stands; 0 where it is too long or holds
 * other characters. */
static uint64_t word_and_stop(const char *s, int64_t n, int where) {
    char word[TOKEN_MAX + 1];
    if (n < 2 || n > TOKEN_MAX) return 0;
    for (int64_t i = 0; i < n; i++) {
        char c = s[i];
        int inside = c == '-' || c == '\'' || c == ',' || (i == 0 && c == '$')
                     || (i == n - 2 && c == '%')
                     || (c == '.' && i > 0 && i + 2 < n && is_digit(s[i - 1]) && is_digit(s[i + 1]));
        if (i < n - 1 && !inside && !is_digit(c) && !is_lower(c) && !is_upper(c)) return 0;
        word[i] = is_digit(c) ? '0' : c;
    }
    word[n] = (char)where;
    return hash_bytes(word, (size_t)n + 1) & ~(uint64_t)1;
}

static size_t known_slot(const Cutter *c, uint64_t hash) {
    size_t i = hash >> 1 & (2 * KNOWN - 1);
    while (c->known[i] && (c->known[i] & ~(uint64_t)1) != hash) i = (i + 1) & (2 * KNOWN - 1);
    return i;
}

/* Remember that a sentence always, or never, ends with these words and stops, joined by newlines. */
void hype_cutter_learn(Cutter *c, const char *words, int64_t n, int32_t where, int32_t ends) {
    for (int64_t i = 0, j; i < n && c->n_known < KNOWN; i = j + 1) {
        const char *stop = memchr(words + i, '\n', (size_t)(n - i));
        j = stop ? stop - words : n;
        uint64_t hash = word_and_stop(words + i, j - i, where);
        size_t slot = known_slot(c, hash);
        if (!hash || c->known[slot]) continue;
        c->known[slot] = hash | (uint64_t)(ends != 0);
        c->n_known++;
    }
}

static int is_blank(char c) { return c == ' ' || c == '\t' || c == '\n'; }
static int is_stop(char c) { return c == '.' || c == '!' || c == '?'; }
static int is_letter(char c) { return is_lower(c) || is_upper(c); }

/* Tell where the mark of a list ends that begins at `i`; `i` where there is none. */
static int64_t behind_bullet(const char *t, int64_t i, int64_t end) {
    int64_t k = i, j;
    while (k < end && strchr("^*-+o>", t[k]) && t[k]) k++;
    if (k > i && k - i <= 3 && k < end && (t[k] == ' ' || t[k] == '\t')) {
        while (k < end && (t[k] == ' ' || t[k] == '\t')) k++;
        return k;
    }
    k = i + (t[i] == '(');
    for (j = k; j < end && j < k + 2 && is_digit(t[j]);) j++;
    if (j > k && j + 1 < end && (t[j] == '.' || t[j] == ')') && (t[j + 1] == ' ' || t[j + 1] == '\t')) {
        for (j++; j < end && (t[j] == ' ' || t[j] == '\t');) j++;
        return j;
    }
    for (k = i; k < end && t[k] == '^';) k++;
    if (k > i) {
        while (k < end && (t[k] == ' ' || t[k] == '\t')) k++;
        return k;
    }
    for (k = i; k < end && k < i + 6 && t[k] == '#';) k++;
    if (k == i || k >= end || t[k] != ' ') return i;
    while (k < end && t[k] == ' ') k++;
    return k;
}

enum { CLEAR, UNCLEAR, UNKNOWN };

static void put_row(Rows *r, int64_t start, int64_t end, int32_t block, int hard) {
    if (r->count < r->room) {
        r->start[r->count] = start;
        r->end[r->count] = end;
        r->block[r->count] = block;
        if (hard) r->hard[r->n_hard] = hard == UNKNOWN ? ~(int32_t)r->count : (int32_t)r->count;
    }
    r->n_hard += hard != 0;
    r->count++;
}

enum { PLAIN, TELLING, ODD }; /* what a character may say of a block's sentences */
static const uint8_t kind[256] = {
    ['.'] = TELLING, ['!'] = TELLING, ['?'] = TELLING, ['"'] = TELLING, ['\''] = TELLING,
    ['('] = TELLING, [')'] = TELLING, ['['] = TELLING, [']'] = TELLING,
    ['<'] = ODD, ['>'] = ODD, ['{'] = ODD, ['}'] = ODD, ['\n'] = ODD, ['`'] = ODD,
};

/* Cut the block from `a` to `b`; where it is not clear how, it becomes one row that is hard. */
static void cut_block(const Cutter *c, const char *t, int64_t a, int64_t b, int32_t block, Rows *r) {
    int64_t before = r->count, hard_before = r->n_hard, from = a, to = b;
    int why = UNCLEAR;
    while (a < b && (t[a] == ' ' || t[a] == '\t')) a++;
    if (a < b) {
        int64_t k = behind_bullet(t, a, b);
        if (k < b) a = k;
    }
    int64_t last = a; /* where the sentence begins */
    int more = 0;
    if (b - a >= 4)
        for (int64_t i = a; i < b - 1 && !more; i++) more = is_stop(t[i]);
    int quoted = 0;
    char bracket = 0; /* the one that is open */
    if (more && (t[a] == '(' || t[a] == '[')) goto hard; /* it may be a number */
    for (int64_t i = a; more && i < b; i++) {
        char x = t[i];
        if (kind[(uint8_t)x] == PLAIN) continue;
        if (x == '"') {
            quoted = !quoted;
        } else if (x == '(' || x == '[') {
            int64_t in = i + 1; /* a number in brackets, such as (2), (b) or (iv), begins a sentence */
            if (is_digit(t[in])) {
                while (in < b && is_digit(t[in])) in++;
                if (bracket || in == b || t[in] == ')' || t[in] == ']') goto hard;
            } else {
                while (in < b && strchr("ivxlcdmIVXLCDM", t[in])) in++;
                if (bracket || in + 1 >= b || !is_letter(t[in]) || !is_letter(t[in + 1])) goto hard;
            }
            bracket = x == '(' ? ')' : ']';
        } else if (x == ')' || x == ']') {
            if (bracket != x) goto hard;
            bracket = 0;
        } else if (x == '\'') {
            if (i == a || i + 1 == b || !is_letter(t[i - 1]) || !is_letter(t[i + 1])) goto hard;
        } else if (kind[(uint8_t)x] == ODD) {
            goto hard;
        }
        if (!is_stop(x)) continue;
        int64_t next = i + 1;
        while (next < b && is_stop(t[next])) next++;
        if (next == b) break;
        if (next > i + 1) goto hard;
        if (x == '.' && i > a && is_digit(t[i - 1]) && is_digit(t[next])) continue;
        if (t[next] != ' ' || quoted || bracket) goto hard;
        while (next < b && t[next] == ' ') next++;
        if (next == b) break;
        int mark = t[next] == '"'; /* one that opens, not one that closes */
        if (!is_letter(t[next + mark]) && !is_digit(t[next]) && !strchr("^*-($", t[next])) goto hard;
        int64_t word = i;
        while (word > last && t[word - 1] != ' ') word--;
        if (word == a && !is_letter(t[a])) goto hard;
        int where = word == a ? FIRST : word == last ? LATER : INSIDE;
        uint64_t hash = word_and_stop(t + word, i + 1 - word, where);
        uint64_t known = hash ? c->known[known_slot(c, hash)] : 0;
        if (!known) {
            why = UNKNOWN;
            goto hard;
        }
        if (!(known & 1)) continue;
        put_row(r, last, i + 1, block, CLEAR);
        last = next;
        i = next - 1;
    }
    if (quoted || bracket) goto hard;
    while (last < b && is_blank(t[last])) last++;
    while (b > last && is_blank(t[b - 1])) b--;
    if (b > last) put_row(r, last, b, block, CLEAR);
    for (int64_t k = before; k < r->count && k < r->room; k++)
        if (r->end[k] - r->start[k] > SENTENCE_MAX) goto hard;
    return;
hard:
    r->count = before;
    r->n_hard = hard_before;
    put_row(r, from, to, block, why);
}

/* Cut documents into sentences (segment.segment), by block; rows in `hard` are left to the caller:
 * the block is not clear, or, where its number is -1, the document; ~row where a word before a stop
 * is not known. Gives the number of rows; those that find no room are not written. `doc_first` has
 * docs + 1 places. */
int64_t hype_segment(const Cutter *c, const char *text, const int64_t *text_first, int32_t docs,
                     int64_t *start, int64_t *end, int32_t *block, int32_t *hard, int64_t room,
                     int32_t *doc_first, int64_t *n_hard) {
    Rows rows = {start, end, block, hard, room, 0, 0};
    for (int32_t d = 0; d < docs; d++) {
        int64_t from = text_first[d], to = text_first[d + 1], before = rows.count;
        int64_t hard_before = rows.n_hard, pending = -1, stop = 0; /* a block: its only line */
        int32_t n_blocks = 0;
        doc_first[d] = (int32_t)rows.count;
        for (int64_t at = from; at <= to;) {
            const char *found = memchr(text + at, '\n', (size_t)(to - at));
            int64_t line = at, line_end = found ? found - text : to;
            at = line_end + 1;
            int64_t body = line;
            while (body < line_end && is_blank(text[body])) body++;
            int blank = body == line_end, odd = 0;
            for (int64_t i = body; i < line_end && !odd; i++)
                odd = (unsigned char)text[i] < ' ';
            int64_t tail = line_end;
            while (tail > body && is_blank(text[tail - 1])) tail--;
            odd |= tail - body >= 2 && text[body] == '|' && text[tail - 1] == '|';
            /* A line of a table, or one that may go on the line before it. */
            odd |= !blank && pending >= 0 && is_lower(text[body]) && stop - pending >= 45
                   && stop - pending <= 120;
            if (odd) {
                rows.count = before;
                rows.n_hard = hard_before;
                put_row(&rows, from, to, -1, UNCLEAR);
                pending = -1;
                break;
            }
            if (pending >= 0) cut_block(c, text, pending, stop, n_blocks++, &rows);
            pending = blank ? -1 : line;
            stop = line_end;
        }
        if (pending >= 0) cut_block(c, text, pending, stop, n_blocks++, &rows);
    }
    doc_first[docs] = (int32_t)rows.count;
    *n_hard = rows.n_hard;
    return rows.count;
}

/* ---- the filter of literals ---- */

/* A text is read in stretches: a word, what stands between it and the word before, and one character
 * behind it. What a stretch says, which literals lie in it and which longer ones may begin in it, is
 * worked out when it is first met, and kept. */
#define STRETCH_MAX 48     /* characters; longer ones are not kept */
#define STRETCHES 65536    /* places for them; three quarters are filled */
#define SAID_MAX (1 << 21) /* numbers that they say altogether */
#define CUTS 128           /* stretches that are looked up together */
#define AHEAD 4            /* so many are fetched before their turn */

typedef struct {
    int32_t at, size; /* its letters in the text */
    int32_t parent;   /* the longest other one that it begins with, or -1 */
    int32_t clauses;  /* where those that it fulfils begin */
    int32_t head;     /* letters up to and with the first behind its first word; 0: it has no more */
    uint16_t n_clauses;
    uint8_t edges; /* bit 0: begins at the edge of a word, bit 1: ends at one */
} Literal;

/* What `said` holds of a stretch from `at` on: the clauses that are fulfilled, the ways that are to
 * be looked at in the sentence and those in the document, the patterns that may begin in it, ranges of
 * longer literals (where they may begin, the first, the end), the literals in it (which, where). */
typedef struct {
    uint64_t hash;    /* 0: empty */
    uint32_t letters; /* its own, among those that are kept */
    uint32_t at;
    int32_t size, n_clauses, n_ways, n_document_ways, n_begins, n_ranges, n_hits;
} Stretch;

typedef struct {
    int64_t start;
    int32_t literal;
} Hit;

/* Where a clause is fulfilled, to the stretch. */
typedef struct {
    uint32_t seen;       /* the last sentence or document in which it is */
    int32_t first;       /* in that sentence, where a stretch begins */
    int32_t first_of_all; /* in the document, the same */
    int32_t last;        /* where the next stretch begins */
} Place;

typedef struct {
    const char *text;      /* literals, one behind the other, sorted by their letters */
    Literal *literals;
    uint64_t *front, *rest; /* by literal, its first eight letters, and eight behind its head */
    int32_t first_of[257]; /* by letter, the first of the literals that begin with it */
    const int32_t *clauses; /* by literal, those that it fulfils */
    const int32_t *way_first, *ways;   /* by clause, the ways to match that it makes likely */
    const int32_t *need_first, *needs; /* by way, its clauses; ~: the first of a place */
    const int32_t *rare;               /* by way, the rarest of its clauses but one */
    const int32_t *pattern;            /* by way, its pattern */
    const uint8_t *whole;              /* by pattern: judged over the whole document */
    const int32_t *begin;              /* by pattern, what stands where it begins, or -1 */
    const int32_t *begin_first, *begins; /* by literal, what it is of that */
    int32_t n_literals, n_clauses, n_ways, n_patterns;
    int32_t first_gate; /* from this pattern on they are gates, up to 64 */
    Stretch *stretches;
    int32_t n_stretches;
    char *letters;
    size_t letters_room, n_letters;
    int32_t *said;
    size_t said_room, n_said;
    uint32_t *noted_clause, *noted_way; /* the last stretch that says it */
    uint32_t stretch;
    Place *places; /* by clause */
    uint32_t *waits; /* by way, the last one in which it is to be looked at */
    uint32_t *told;  /* by pattern, the last one in which it is reported */
    uint32_t now;
    Hit *here; /* those that begin in a stretch */
    size_t here_room;
    /* Of the sentence: its stretches (where, which), and the longer literals in it. */
    Hit *run, *longer;
    size_t run_room, longer_room;
    int32_t n_run, n_longer; /* -1: not known */
    int32_t *waiting, *waiting_document; /* ways that may be complete */
} Filter;

void hype_filter_free(Filter *f) {
    if (!f) return;
    free(f->literals); free(f->front); free(f->rest); free(f->stretches); free(f->letters); free(f->said);
    free(f->noted_clause); free(f->noted_way);
    free(f->places); free(f->waits); free(f->told); free(f->here); free(f->run); free(f->longer);
    free(f->waiting); free(f->waiting_document);
    free(f);
}

static const uint8_t word_characters[256] = {
    ['0' ... '9'] = 1, ['a' ... 'z'] = 1, ['_'] = 1,
};

static int in_word(char c) { return word_characters[(uint8_t)c]; }

static int begins_with(const Filter *f, int32_t x, int32_t y) {
    const Literal *a = &f->literals[x], *b = &f->literals[y];
    return b->size <= a->size && !memcmp(f->text + a->at, f->text + b->at, (size_t)b->size);
}

/* Read up to eight letters as a number: numbers are in the order of the texts. */
static uint64_t eight(const char *s, int64_t n) {
    uint64_t x = 0;
#if defined(__GNUC__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    if (n >= 8) {
        memcpy(&x, s, 8);
        return __builtin_bswap64(x);
    }
#endif
    for (int64_t i = 0; i < 8; i++) x = x << 8 | (i < n ? (uint8_t)s[i] : 0);
    return x;
}

Filter *hype_filter_new(const char *text, const int32_t *at, const uint8_t *edges,
                        const int32_t *clause_first, const int32_t *clauses,
                        const int32_t *way_first, const int32_t *ways,
                        const int32_t *need_first, const int32_t *needs, const int32_t *rare,
                        const int32_t *pattern, const uint8_t *whole, const int32_t *begin,
                        const int32_t *begin_first, const int32_t *begins, int32_t n_literals,
                        int32_t n_clauses, int32_t n_ways, int32_t n_patterns,
                        int32_t first_gate) {
    Filter *f = calloc(1, sizeof *f);
    if (!f) return NULL;
    f->text = text; f->clauses = clauses;
    f->way_first = way_first; f->ways = ways;
    f->need_first = need_first; f->needs = needs; f->rare = rare;
    f->pattern = pattern; f->whole = whole;
    f->begin = begin; f->begin_first = begin_first; f->begins = begins;
    f->n_literals = n_literals; f->n_clauses = n_clauses;
    f->n_ways = n_ways; f->n_patterns = n_patterns; f->first_gate = first_gate;
    f->literals = calloc((size_t)n_literals + 1, sizeof *f->literals);
    f->front = calloc((size_t)n_literals + 1, sizeof *f->front);
    f->rest = calloc((size_t)n_literals + 1, sizeof *f->rest);
    f->stretches = calloc(STRETCHES, sizeof *f->stretches);
    f->noted_clause = calloc((size_t)n_clauses + 1, sizeof(uint32_t));
    f->noted_way = calloc((size_t)n_ways + 1, sizeof(uint32_t));
    f->places = calloc((size_t)n_clauses + 1, sizeof *f->places);
    f->waits = calloc((size_t)n_ways + 1, sizeof(uint32_t));
    f->told = calloc((size_t)n_patterns + 1, sizeof(uint32_t));
    f->waiting = malloc(((size_t)n_ways + 1) * sizeof(int32_t));
    f->waiting_document = malloc(((size_t)n_ways + 1) * sizeof(int32_t));
    int ok = f->literals && f->front && f->rest && f->stretches && f->noted_clause && f->noted_way
             && f->places && f->waits && f->told && f->waiting && f->waiting_document;
    for (int32_t x = 0; ok && x < n_literals; x++) {
        Literal *l = &f->literals[x];
        const char *s = text + at[x];
        int32_t first = clause_first[x], n = clause_first[x + 1] - first, k = 0;
        l->at = at[x];
        l->size = at[x + 1] - at[x];
        l->clauses = first;
        l->n_clauses = (uint16_t)n;
        l->edges = edges[x];
        ok = n <= UINT16_MAX;
        while (k < l->size && !in_word(s[k])) k++;
        while (k < l->size && in_word(s[k])) k++;
        l->head = k + 1 < l->size ? k + 1 : 0;
        f->front[x] = eight(s, l->size);
        if (l->head) f->rest[x] = eight(s + l->head, l->size - l->head);
        l->parent = x - 1;
        while (l->parent >= 0 && !begins_with(f, x, l->parent))
            l->parent = f->literals[l->parent].parent;
    }
    for (int32_t c = 0, x = 0; ok && c < 257; c++) {
        while (x < n_literals && (uint8_t)text[at[x]] < c) x++;
        f->first_of[c] = x;
    }
    if (!ok) {
        hype_filter_free(f);
        return NULL;
    }
    return f;
}

/* Give the first of some numbers in order, from `low` to `high`, that is not less than `x`. */
static int32_t not_less(const uint64_t *numbers, int32_t low, int32_t high, uint64_t x) {
    while (low < high) {
        int32_t middle = low + (high - low) / 2;
        if (numbers[middle] < x) low = middle + 1;
        else high = middle;
    }
    return low;
}

/* Give the first literal from `low` to `high` that is not less than `s`; where `behind` is set, the
 * first that is greater and does not begin so. */
static int32_t bound(const Filter *f, int32_t low, int32_t high, const char *s, int64_t n,
                     int behind) {
    /* Eight letters tell most literals; those that share them with the text are compared. */
    uint64_t front = eight(s, n), past = n < 8 ? front + (1ull << (64 - 8 * n)) - 1 : front;
    low = not_less(f->front, low, high, front);
    if (n < 8 && !behind) return low;
    if (past < UINT64_MAX) high = not_less(f->front, low, high, past + 1);
    if (n < 8) return high;
    while (low < high) {
        int32_t middle = low + (high - low) / 2;
        int64_t size = f->literals[middle].size;
        int order = memcmp(f->text + f->literals[middle].at, s, (size_t)(size < n ? size : n));
        if (order < 0 || (order == 0 && (behind || size < n))) low = middle + 1;
        else high = middle;
    }
    return low;
}

/* Tell whether a literal stands at `at` of `s`, a text of `n` characters. */
static int stands(const Filter *f, const Literal *l, const char *s, int64_t at, int64_t n) {
    return l->size <= n - at && !memcmp(f->text + l->at, s + at, (size_t)l->size)
           && !((l->edges & 1) && at > 0 && in_word(s[at - 1]))
           && !((l->edges & 2) && at + l->size < n && in_word(s[at + l->size]));
}

static int say(Filter *f, int32_t x) {
    if (!grow((void **)&f->said, &f->said_room, f->n_said + 1, sizeof *f->said)) return 0;
    f->said[f->n_said++] = x;
    return 1;
}

/* Say the clauses and ways of the literals that are said from `hits` on, and the patterns that may
 * begin with them, each once. */
static int say_clauses(Filter *f, size_t hits, Stretch *out) {
    if (f->stretch == UINT32_MAX) {
        memset(f->noted_clause, 0, (size_t)f->n_clauses * sizeof(uint32_t));
        memset(f->noted_way, 0, (size_t)f->n_ways * sizeof(uint32_t));
        f->stretch = 0;
    }
    uint32_t stamp = ++f->stretch;
    size_t first = f->n_said;
    for (int32_t h = 0; h < out->n_hits; h++) {
        const Literal *l = &f->literals[f->said[hits + 2 * (size_t)h]];
        for (int c = 0; c < l->n_clauses; c++) {
            int32_t clause = f->clauses[l->clauses + c];
            if (f->noted_clause[clause] == stamp) continue;
            f->noted_clause[clause] = stamp;
            if (!say(f, clause)) return 0;
            out->n_clauses++;
        }
    }
    for (int document = 0; document < 2; document++)
        for (int32_t c = 0; c < out->n_clauses; c++) {
            int32_t clause = f->said[first + (size_t)c];
            for (int32_t w = f->way_first[clause]; w < f->way_first[clause + 1]; w++) {
                int32_t way = f->ways[w];
                if ((f->whole[f->pattern[way]] != 0) != document || f->noted_way[way] == stamp)
                    continue;
                f->noted_way[way] = stamp;
                if (!say(f, way)) return 0;
                if (document) out->n_document_ways++;
                else out->n_ways++;
            }
        }
    for (size_t first_begin = f->n_said, h = 0; h < (size_t)out->n_hits; h++) {
        int32_t x = f->said[hits + 2 * h];
        for (int32_t b = f->begin_first[x]; b < f->begin_first[x + 1]; b++) {
            size_t k = first_begin;
            while (k < f->n_said && f->said[k] != f->begins[b]) k++;
            if (k == f->n_said && !say(f, f->begins[b])) return 0;
        }
        out->n_begins = (int32_t)(f->n_said - first_begin);
    }
    return 1;
}

/* Where its ranges are, and behind them its hits. */
static const int32_t *ranges_of(const Filter *f, const Stretch *k) {
    return f->said + k->at + k->n_clauses + k->n_ways + k->n_document_ways + k->n_begins;
}

/* Work out what a stretch of `n` characters says whose word ends at `to`; 0: it has none. */
static int read_stretch(Filter *f, const char *s, int64_t n, int64_t to, Stretch *out) {
    int32_t last[STRETCH_MAX]; /* by place, the literal that is not greater or begins so */
    out->at = (uint32_t)f->n_said;
    for (int64_t at = 0; at < (to ? to : n); at++) {
        int32_t low = f->first_of[(uint8_t)s[at]], high = f->first_of[(uint8_t)s[at] + 1];
        int32_t x = bound(f, low, high, s + at, n - at, 1) - 1;
        if (at < STRETCH_MAX) last[at] = x;
        for (; x >= low; x = f->literals[x].parent) {
            if (f->literals[x].head || !stands(f, &f->literals[x], s, at, n)) continue;
            if (!say(f, x) || !say(f, (int32_t)at)) return 0;
            out->n_hits++;
        }
    }
    size_t hits = out->at, first = f->n_said;
    if (!say_clauses(f, hits, out)) return 0;
    for (int64_t at = 0; to < n && at < to; at++) {
        int32_t low = f->first_of[(uint8_t)s[at]], high = f->first_of[(uint8_t)s[at] + 1];
        high = at < STRETCH_MAX ? last[at] + 1 : bound(f, low, high, s + at, n - at, 1);
        if (high == low || f->literals[high - 1].size < n - at
            || memcmp(f->text + f->literals[high - 1].at, s + at, (size_t)(n - at)))
            continue;
        low = bound(f, low, high, s + at, n - at, 0);
        while (low < high && !f->literals[low].head) low++; /* those end here */
        if (low == high) continue;
        if (!say(f, (int32_t)at) || !say(f, low) || !say(f, high)) return 0;
        out->n_ranges++;
    }
    /* The hits had to come first; they belong at the end. */
    for (size_t k = hits; k < first; k++)
        if (!say(f, f->said[k])) return 0;
    memmove(f->said + hits, f->said + first, (f->n_said - first) * sizeof *f->said);
    f->n_said -= first - hits;
    return 1;
}

static uint64_t hash_stretch(const char *s, int64_t n, uint64_t kind) {
    uint64_t h = 0x9e3779b97f4a7c15ull * ((uint64_t)n + kind), x;
    for (; n >= 8; s += 8, n -= 8) {
        memcpy(&x, s, 8);
        h = mix(h ^ x);
    }
    x = 0;
    memcpy(&x, s, (size_t)n);
    h = mix(h ^ x);
    return h ? h : 1;
}

/* Where stretches begin: one of a text, and the next one. */
typedef struct {
    int64_t at, next, stop;
    int has_word;
    uint64_t hash; /* 0: it is not kept */
} Cut;

/* Cut up to CUTS stretches off a text of `n` characters from `at` on; the places of what is known of
 * them are fetched. Gives how many there are. */
static int cut_stretches(const Filter *f, const char *s, int64_t at, int64_t n, Cut *cuts) {
    int count = 0;
    for (; at < n && count < CUTS; count++) {
        int64_t word = at, next;
        while (word < n && !in_word(s[word])) word++;
        for (next = word; next < n && in_word(s[next]);) next++;
        int64_t stop = next < n ? next + 1 : n;
        Cut cut = {at, next, stop, word < n, 0};
        if (stop - at <= STRETCH_MAX) {
            cut.hash = hash_stretch(s + at, stop - at, (uint64_t)cut.has_word + 2 * (next < stop));
            __builtin_prefetch(&f->stretches[cut.hash & (STRETCHES - 1)]);
        }
        cuts[count] = cut;
        at = next;
    }
    return count;
}

/* Have fetched what a stretch says that is likely to be this one. */
static void fetch_said(const Filter *f, const Cut *cut) {
    const Stretch *t = &f->stretches[cut->hash & (STRETCHES - 1)];
    if (!cut->hash || t->hash != cut->hash) return;
    __builtin_prefetch(f->letters + t->letters);
    for (size_t k = 0; k < 64; k += 16) __builtin_prefetch(f->said + t->at + k);
}

/* Give what a stretch says, kept or worked out in `own`; NULL where memory ran out. */
static const Stretch *stretch_of(Filter *f, const char *text, const Cut *cut, Stretch *own) {
    const char *s = text + cut->at;
    int64_t n = cut->stop - cut->at, to = cut->has_word ? cut->next - cut->at : 0;
    size_t i = 0;
    uint64_t hash = cut->hash;
    if (hash)
        for (i = hash & (STRETCHES - 1); f->stretches[i].hash; i = (i + 1) & (STRETCHES - 1)) {
            const Stretch *t = &f->stretches[i];
            if (t->hash == hash && t->size == n && !memcmp(f->letters + t->letters, s, (size_t)n))
                return t;
        }
    memset(own, 0, sizeof *own);
    own->size = (int32_t)(hash ? n : 0);
    if (!read_stretch(f, s, n, to, own)) return NULL;
    if (!hash || f->n_stretches >= STRETCHES / 4 * 3 || f->n_said >= SAID_MAX) return own;
    if (!grow((void **)&f->letters, &f->letters_room, f->n_letters + (size_t)n, 1)) return NULL;
    memcpy(f->letters + f->n_letters, s, (size_t)n);
    own->letters = (uint32_t)f->n_letters;
    own->hash = hash;
    f->n_letters += (size_t)n;
    f->n_stretches++;
    f->stretches[i] = *own;
    return &f->stretches[i];
}

/* Forget what stretches say where little room is left for more. */
static void forget_stretches(Filter *f) {
    if (f->n_stretches < STRETCHES / 8 * 5 && f->n_said < SAID_MAX / 8 * 7) return;
    memset(f->stretches, 0, STRETCHES * sizeof *f->stretches);
    f->n_stretches = 0;
    f->n_said = f->n_letters = 0;
}

/* Gather the longer literals that begin in a stretch, from `at` to `stop` of a text of `n` characters;
 * give how many there are, -1 where memory ran out. */
static int32_t longer(Filter *f, const Stretch *k, const char *s, int64_t at, int64_t stop,
                      int64_t n) {
    int32_t count = 0;
    const int32_t *range = ranges_of(f, k);
    uint64_t rest = k->n_ranges ? eight(s + stop, n - stop) : 0;
    for (int32_t i = 0; i < k->n_ranges; i++, range += 3) {
        int64_t from = at + range[0];
        int32_t low = range[1], high = range[2];
        low = rest < UINT64_MAX ? not_less(f->rest, low, high, rest + 1) : high;
        /* Eight letters may not be enough to tell: go back to one that is not behind the text. */
        for (low--; low >= range[1] && f->rest[low] == rest; low--) {
            const Literal *l = &f->literals[low];
            int64_t size = l->size < n - from ? l->size : n - from;
            int order = memcmp(f->text + l->at, s + from, (size_t)size);
            if (order < 0 || (order == 0 && l->size <= n - from)) break;
        }
        for (; low >= range[1]; low = f->literals[low].parent) {
            const Literal *l = &f->literals[low];
            int left = l->size - l->head;
            if (left < 8 && (f->rest[low] ^ rest) >> (64 - 8 * left)) continue;
            if (!stands(f, l, s, from, n)) continue;
            if (!grow((void **)&f->here, &f->here_room, (size_t)count + 1, sizeof *f->here)) return -1;
            Hit hit = {from, low};
            f->here[count++] = hit;
        }
    }
    return count;
}

typedef struct {
    int32_t *out; /* jobs: sentence or -1, pattern, how many places, the places */
    int64_t room, count; /* of numbers */
    uint64_t gates; /* of the document, a bit each */
} Jobs;

static void put(Jobs *j, int32_t x) {
    if (j->count < j->room) j->out[j->count] = x;
    j->count++;
}

static int may_begin(const Filter *f, int32_t literal, int32_t begin) {
    for (int32_t b = f->begin_first[literal]; b < f->begin_first[literal + 1]; b++)
        if (f->begins[b] == begin) return 1;
    return 0;
}

/* Put a place among those that were put last, in order and once. */
static void put_place(Jobs *j, int64_t first, int32_t place) {
    int64_t k = j->count;
    if (j->count >= j->room) { /* there will be another try, with more room */
        j->count++;
        return;
    }
    while (k > first && j->out[k - 1] > place) k--;
    if (k > first && j->out[k - 1] == place) return;
    memmove(j->out + k + 1, j->out + k, (size_t)(j->count - k) * sizeof *j->out);
    j->out[k] = place;
    j->count++;
}

/* Tell a pattern, and where in the sentence it may begin. */
static void tell(const Filter *f, Jobs *j, int32_t sentence, int32_t pattern) {
    int32_t begin = sentence < 0 ? -1 : f->begin[pattern];
    put(j, sentence);
    put(j, pattern);
    int64_t count = j->count;
    put(j, -1);
    if (begin < 0 || f->n_run < 0) return;
    for (int32_t r = 0; r < f->n_run; r++) {
        const Stretch *k = &f->stretches[f->run[r].literal];
        const int32_t *x = ranges_of(f, k);
        int said = 0;
        for (int i = 1; i <= k->n_begins; i++) said |= x[-i] == begin;
        if (!said) continue;
        x += 3 * k->n_ranges;
        for (int32_t i = 0; i < k->n_hits; i++, x += 2)
            if (may_begin(f, x[0], begin)) put_place(j, count + 1, (int32_t)f->run[r].start + x[1]);
    }
    for (int32_t i = 0; i < f->n_longer; i++)
        if (may_begin(f, f->longer[i].literal, begin))
            put_place(j, count + 1, (int32_t)f->longer[i].start);
    if (count < j->room) j->out[count] = (int32_t)(j->count - count - 1);
}

/* Say whether all clauses of a way are fulfilled since `since`, place by place one behind the other: in
 * a sentence, or in the whole document. It may say so of three places that are not quite in order. */
static int in_order(const Filter *f, int32_t way, uint32_t since, int whole) {
    int32_t behind = -1, next = -1;
    for (int32_t k = f->need_first[way]; k < f->need_first[way + 1]; k++) {
        int32_t clause = f->needs[k];
        if (clause < 0) {
            clause = ~clause;
            behind = next;
        }
        const Place *p = &f->places[clause];
        if (whole ? p->seen < since : p->seen != since) return 0;
        if (p->last <= behind) return 0;
        int32_t soonest = whole ? p->first_of_all : p->first;
        if (soonest > next) next = soonest;
    }
    return 1;
}

/* Where the reading of a document stands. */
typedef struct {
    uint32_t document, sentence;       /* stamps */
    int32_t waiting, waiting_document; /* ways */
    int32_t s, last;                   /* the sentence, and the end of the document's */
    int32_t at, next;                  /* where the stretch begins, and the next one */
} Turn;

/* Report the patterns of which one way is complete since `since`. */
static void settle(Filter *f, const int32_t *waiting, int32_t n, uint32_t since, int32_t sentence,
                   Jobs *out) {
    for (int32_t w = 0; w < n; w++) {
        uint32_t seen = f->places[f->rare[waiting[w]]].seen;
        if (sentence < 0 ? seen < since : seen != since) continue;
        int32_t p = f->pattern[waiting[w]];
        if (f->told[p] == since || !in_order(f, waiting[w], since, sentence < 0)) continue;
        f->told[p] = since;
        if (p >= f->first_gate) out->gates |= (uint64_t)1 << (p - f->first_gate);
        else tell(f, out, sentence, p);
    }
}

static void end_sentence(Filter *f, Turn *t, Jobs *out) {
    settle(f, f->waiting, t->waiting, t->sentence, t->s, out);
    f->n_run = f->n_longer = 0;
    t->waiting = 0;
    t->sentence = ++f->now;
    t->s++;
}

static void await(Filter *f, Turn *t, int32_t way, int document) {
    if (document) {
        if (f->waits[way] == t->document) return;
        f->waits[way] = t->document;
        f->waiting_document[t->waiting_document++] = way;
    } else if (f->waits[way] != t->sentence) {
        f->waits[way] = t->sentence;
        f->waiting[t->waiting++] = way;
    }
}

/* A clause is fulfilled: in the sentence, or outside of all, where it counts for the document alone. */
static inline void fulfil(Place *p, const Turn *t, int inside) {
    if (p->seen < t->document) {
        p->first_of_all = t->at;
        if (!inside) p->seen = t->document;
    }
    if (inside && p->seen != t->sentence) {
        p->seen = t->sentence;
        p->first = t->at;
    }
    p->last = t->next;
}

/* Note that a literal stands in the sentence, or outside of all. */
static void note(Filter *f, Turn *t, int32_t literal, int inside) {
    const Literal *l = &f->literals[literal];
    for (int c = 0; c < l->n_clauses; c++) {
        int32_t clause = f->clauses[l->clauses + c];
        fulfil(&f->places[clause], t, inside);
        for (int32_t w = f->way_first[clause]; w < f->way_first[clause + 1]; w++) {
            int document = f->whole[f->pattern[f->ways[w]]];
            if (document || inside) await(f, t, f->ways[w], document);
        }
    }
}

/* Remember a stretch of the sentence, and the longer literals that begin in it. */
static int remember(Filter *f, const Turn *t, const Stretch *k, int32_t count) {
    if (f->n_run < 0) return 1;
    if (k < f->stretches || k >= f->stretches + STRETCHES) { /* it is not kept */
        f->n_run = -1;
        return 1;
    }
    if (!grow((void **)&f->run, &f->run_room, (size_t)f->n_run + 1, sizeof *f->run)
        || !grow((void **)&f->longer, &f->longer_room, (size_t)f->n_longer + (size_t)count,
                 sizeof *f->longer))
        return 0;
    Hit at = {t->at, (int32_t)(k - f->stretches)};
    f->run[f->n_run++] = at;
    if (count) memcpy(f->longer + f->n_longer, f->here, (size_t)count * sizeof *f->here);
    f->n_longer += count;
    return 1;
}

/* Note what a stretch says that lies in the sentence whole. */
static void note_stretch(Filter *f, Turn *t, const Stretch *k) {
    const int32_t *x = f->said + k->at;
    for (int i = 0; i < k->n_clauses; i++) fulfil(&f->places[*x++], t, 1);
    for (int i = 0; i < k->n_ways; i++) await(f, t, *x++, 0);
    for (int i = 0; i < k->n_document_ways; i++) await(f, t, *x++, 1);
}

static int lies_in(const Filter *f, Hit hit, int64_t start, int64_t end) {
    return hit.start >= start && hit.start + f->literals[hit.literal].size <= end;
}

/* Note what a stretch says that ends at `stop` and does not lie in one sentence whole; `count` longer
 * literals are gathered. The document begins at `base`. */
static int note_parts(Filter *f, Turn *t, const Stretch *k, int64_t stop, int64_t base,
                      int32_t count, const int64_t *start, const int64_t *end, Jobs *out) {
    const int32_t *x = ranges_of(f, k) + 3 * k->n_ranges;
    int32_t longer = count;
    if (!grow((void **)&f->here, &f->here_room, (size_t)count + (size_t)k->n_hits,
              sizeof *f->here))
        return 0;
    for (int32_t i = 0; i < k->n_hits; i++, x += 2) {
        Hit hit = {t->at + x[1], x[0]};
        f->here[count++] = hit;
    }
    for (int32_t h = 0; h < count; h++) {
        int inside = 0;
        for (int32_t s = t->s; s < t->last && start[s] - base <= f->here[h].start && !inside; s++)
            inside = lies_in(f, f->here[h], start[s] - base, end[s] - base);
        if (!inside) note(f, t, f->here[h].literal, 0);
    }
    while (t->s < t->last && start[t->s] - base < stop) {
        int64_t from = start[t->s] - base, to = end[t->s] - base;
        for (int32_t h = 0; h < count; h++)
            if (lies_in(f, f->here[h], from, to)) note(f, t, f->here[h].literal, 1);
        if (to > t->next) break;
        end_sentence(f, t, out);
        if (!remember(f, t, k, longer)) return 0;
    }
    return 1;
}

/* Find where patterns may match, document by document: a sentence (-1: somewhere in the document), a
 * pattern, how many places follow at which it may begin (-1: anywhere), these places. `low` is the
 * text in lower case. Gives how many numbers that are, -1 where memory ran out; those that find no
 * room in `out` are not written. `doc_end`: where each document's numbers end; `gates`: which gates
 * may match in it. */
int64_t hype_filter(Filter *f, const char *low, const int64_t *text_first, const int32_t *doc_first,
                    int32_t docs, const int64_t *start, const int64_t *end, int32_t *out,
                    int64_t room, int64_t *doc_end, uint64_t *gates) {
    Jobs jobs = {out, room, 0, 0};
    for (int32_t d = 0; d < docs; d++) {
        const char *s = low + text_first[d];
        int64_t base = text_first[d], n = text_first[d + 1] - base;
        if (f->now > 0xfffffff0u - (uint32_t)(doc_first[d + 1] - doc_first[d]) - 2) {
            memset(f->places, 0, (size_t)f->n_clauses * sizeof *f->places);
            memset(f->waits, 0, (size_t)f->n_ways * sizeof(uint32_t));
            memset(f->told, 0, (size_t)f->n_patterns * sizeof(uint32_t));
            f->now = 0;
        }
        forget_stretches(f);
        Turn t = {f->now + 1, f->now + 2, 0, 0, doc_first[d], doc_first[d + 1], 0, 0};
        f->now += 2;
        f->n_run = f->n_longer = 0;
        Cut cuts[CUTS];
        int count, i = 0;
        for (int64_t at = 0; (count = cut_stretches(f, s, at, n, cuts)); at = cuts[count - 1].next)
            for (i = 0; i < count; i++) {
                const Cut *cut = &cuts[i];
                if (i + AHEAD < count) fetch_said(f, &cuts[i + AHEAD]);
                size_t said = f->n_said;
                Stretch own;
                const Stretch *k = stretch_of(f, s, cut, &own);
                int32_t more = k ? longer(f, k, s, cut->at, cut->stop, n) : -1;
                if (more < 0) return -1;
                while (t.s < t.last && cut->at >= end[t.s] - base) end_sentence(f, &t, &jobs);
                t.at = (int32_t)cut->at;
                t.next = (int32_t)cut->next;
                if (!remember(f, &t, k, more)) return -1;
                if (t.s < t.last && cut->at >= start[t.s] - base && cut->stop <= end[t.s] - base) {
                    note_stretch(f, &t, k);
                    for (int32_t h = 0; h < more; h++)
                        note(f, &t, f->here[h].literal, lies_in(f, f->here[h], 0, end[t.s] - base));
                } else if (!note_parts(f, &t, k, cut->stop, base, more, start, end, &jobs)) {
                    return -1;
                }
                if (k == &own) f->n_said = said;
            }
        while (t.s < t.last) end_sentence(f, &t, &jobs);
        f->now++;
        settle(f, f->waiting_document, t.waiting_document, t.document, -1, &jobs);
        doc_end[d] = jobs.count;
        gates[d] = jobs.gates;
        jobs.gates = 0;
    }
    if (f->said_room > 2 * SAID_MAX) { /* a giant document's are given back */
        free(f->here);
        f->here = NULL;
        f->here_room = 0;
        void *less = realloc(f->said, (f->n_said + 1) * sizeof *f->said);
        if (less) {
            f->said = less;
            f->said_room = f->n_said + 1;
        }
    }
    return jobs.count;
}
