// Products of small matrices, rows one after the other, in which sums are held in registers.
#pragma once

#include <algorithm>
#include <cstdint>

#include "lanes.h"

namespace supernet {

constexpr int TALL = REGISTERS >= 32 ? 12 : 4, WIDE = 2;  // rows, and vectors of columns, whose sums are held at once

// N vectors of P rows of left times right (inner, columns); what is beside and below an element of left is so far from it.
template <typename T, int V, int N, int P>
inline void tile(T* out, const T* left, int64_t beside, int64_t below, const T* right, int64_t inner, int64_t columns) {
  Lanes<T, V> sum[P][N] = {};
  for (int64_t i = 0; i < inner; ++i) {
    Lanes<T, V> w[N];
#pragma GCC unroll 4
    for (int n = 0; n < N; ++n) w[n] = load<T, V>(right + i * columns + n * V);
#pragma GCC unroll 16
    for (int p = 0; p < P; ++p)
#pragma GCC unroll 4
      for (int n = 0; n < N; ++n) sum[p][n] += left[p * below + i * beside] * w[n];
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

// out (rows, columns) = left times right (inner, columns).
template <typename T>
void product(T* out, const T* left, int64_t beside, int64_t below, const T* right, int64_t rows, int64_t inner, int64_t columns) {
  in_wide_blocks<T>(columns, [&](auto vectors, auto lanes, int64_t at) {
    constexpr int N = decltype(vectors)::value, V = decltype(lanes)::value;
    int64_t row = 0;
    for (; row + TALL <= rows; row += TALL)
      tile<T, V, N, TALL>(out + row * columns + at, left + row * below, beside, below, right + at, inner, columns);
    for (; row < rows; ++row) tile<T, V, N, 1>(out + row * columns + at, left + row * below, beside, below, right + at, inner, columns);
  });
}

// out (rows, columns) = left (rows, inner) times right (inner, columns).
template <typename T>
void multiply(T* out, const T* left, const T* right, int64_t rows, int64_t inner, int64_t columns) {
  product(out, left, 1, inner, right, rows, inner, columns);
}

// Adds left (rows, tall), turned, times right (rows, columns) to total (tall, columns); room: as large as total.
template <typename T>
void add_products(double* total, T* room, const T* left, const T* right, int64_t rows, int64_t tall, int64_t columns) {
  product(room, left, tall, 1, right, tall, rows, columns);
  for (int64_t i = 0; i < tall * columns; ++i) total[i] += room[i];
}

}  // namespace supernet
