// Products of small matrices, rows one after the other, in which sums are held in registers.
#pragma once

#include <algorithm>
#include <cstdint>

#include "lanes.h"

namespace supernet {

constexpr int TALL = REGISTERS >= 32 ? 12 : 4, WIDE = 2;  // rows, and vectors of columns, whose sums are held at once

// N vectors of P rows of left (., inner) times right (inner, columns).
template <typename T, int V, int N, int P>
inline void tile(T* out, const T* left, const T* right, int64_t inner, int64_t columns) {
  Lanes<T, V> sum[P][N] = {};
  for (int64_t i = 0; i < inner; ++i) {
    Lanes<T, V> w[N];
#pragma GCC unroll 4
    for (int n = 0; n < N; ++n) w[n] = load<T, V>(right + i * columns + n * V);
#pragma GCC unroll 16
    for (int p = 0; p < P; ++p)
#pragma GCC unroll 4
      for (int n = 0; n < N; ++n) sum[p][n] += left[p * inner + i] * w[n];
  }
#pragma GCC unroll 16
  for (int p = 0; p < P; ++p)
#pragma GCC unroll 4
    for (int n = 0; n < N; ++n) store<T, V>(out + p * columns + n * V, sum[p][n]);
}

// Calls work(vectors, V, column) for blocks of columns, of as many vectors as sums are held of.
template <typename T, typename F>
void in_wide_blocks(int64_t columns, const F& work) {
  constexpr int V = WIDEST<T>;
  int64_t at = 0;
  for (; at + WIDE * V <= columns; at += WIDE * V) work(Int<WIDE>(), Int<V>(), at);
  in_blocks<V>(columns, at, [&](auto lanes, int64_t column) { work(Int<1>(), lanes, column); });
}

// out (rows, columns) = left (rows, inner) times right (inner, columns).
template <typename T>
void multiply(T* out, const T* left, const T* right, int64_t rows, int64_t inner, int64_t columns) {
  in_wide_blocks<T>(columns, [&](auto vectors, auto lanes, int64_t at) {
    constexpr int N = decltype(vectors)::value, V = decltype(lanes)::value;
    int64_t row = 0;
    for (; row + TALL <= rows; row += TALL) tile<T, V, N, TALL>(out + row * columns + at, left + row * inner, right + at, inner, columns);
    for (; row < rows; ++row) tile<T, V, N, 1>(out + row * columns + at, left + row * inner, right + at, inner, columns);
  });
}

// N vectors of P columns of left (rows, tall), turned, times right (rows, columns).
template <typename T, int V, int N, int P>
inline void turned_tile(T* out, const T* left, const T* right, int64_t rows, int64_t tall, int64_t columns) {
  Lanes<T, V> sum[P][N] = {};
  for (int64_t row = 0; row < rows; ++row) {
    Lanes<T, V> w[N];
#pragma GCC unroll 4
    for (int n = 0; n < N; ++n) w[n] = load<T, V>(right + row * columns + n * V);
#pragma GCC unroll 16
    for (int p = 0; p < P; ++p)
#pragma GCC unroll 4
      for (int n = 0; n < N; ++n) sum[p][n] += left[row * tall + p] * w[n];
  }
#pragma GCC unroll 16
  for (int p = 0; p < P; ++p)
#pragma GCC unroll 4
    for (int n = 0; n < N; ++n) store<T, V>(out + p * columns + n * V, sum[p][n]);
}

// Adds left (rows, tall), turned, times right (rows, columns) to total (tall, columns); room: as large as total.
template <typename T>
void add_products(double* total, T* room, const T* left, const T* right, int64_t rows, int64_t tall, int64_t columns) {
  in_wide_blocks<T>(columns, [&](auto vectors, auto lanes, int64_t at) {
    constexpr int N = decltype(vectors)::value, V = decltype(lanes)::value;
    int64_t p = 0;
    for (; p + TALL <= tall; p += TALL) turned_tile<T, V, N, TALL>(room + p * columns + at, left + p, right + at, rows, tall, columns);
    for (; p < tall; ++p) turned_tile<T, V, N, 1>(room + p * columns + at, left + p, right + at, rows, tall, columns);
  });
  for (int64_t i = 0; i < tall * columns; ++i) total[i] += room[i];
}

}  // namespace supernet
