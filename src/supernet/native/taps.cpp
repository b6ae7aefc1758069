// Each image is copied into a frame of zeros, so that no pixel is asked where it lies; the sums over taps are unrolled for the kernel
// size, stride and dilation, and each pixel is read once for all outputs of a row that it is part of.
#include "taps.h"

#include <algorithm>
#include <cstring>

namespace supernet {
namespace {

constexpr int PIXELS = 8;  // neighbours whose sums are held in registers at once

// V channels of an image, no value below the floor, pixels `step` apart, within a border of zeros: (height + 2 border, width + 2 border, V).
template <typename T, int V>
void frame(T* to, Size framed, const T* image, T floor, Size size, int64_t channels, int64_t border, int64_t step) {
  const Lanes<T, V> least = Lanes<T, V>{} + floor;
  std::memset(to, 0, sizeof(T) * framed.pixels() * V);
  for (int64_t y = 0; y < size.height; ++y) {
    const T* from = image + y * size.width * channels;
    T* at = to + ((y * step + border) * framed.width + border) * V;
    for (int64_t x = 0; x < size.width; ++x, from += channels, at += step * V) {
      const Lanes<T, V> value = load<T, V>(from);
      store<T, V>(at, value < least ? least : value);  // what is not a number stays so
    }
  }
}

// The sums over K x K taps for P neighbouring pixels; S, D: stride and dilation.
template <typename T, int V, int K, int S, int D, int P>
inline void sums(T* out, int64_t channels, const T* framed, int64_t across, const T* taps) {
  Lanes<T, V> sum[P] = {};
  for (int ky = 0; ky < K; ++ky) {
    Lanes<T, V> w[K];
#pragma GCC unroll 8
    for (int kx = 0; kx < K; ++kx) w[kx] = load<T, V>(taps + (ky * K + kx) * V);
    const T* row = framed + ky * D * across * V;
#pragma GCC unroll 32
    for (int i = 0; i <= (P - 1) * S + (K - 1) * D; ++i) {
      const Lanes<T, V> x = load<T, V>(row + i * V);
#pragma GCC unroll 8
      for (int p = 0; p < P; ++p)
        if (i >= p * S && (i - p * S) % D == 0 && (i - p * S) / D < K) sum[p] += w[(i - p * S) / D] * x;
    }
  }
#pragma GCC unroll 8
  for (int p = 0; p < P; ++p) store<T, V>(out + p * channels, sum[p]);
}

template <typename T, int V, int K, int S, int D>
void convolve(T* out, Size size, int64_t channels, const T* framed, int64_t across, const T* taps) {
  for (int64_t y = 0; y < size.height; ++y) {
    const T* row = framed + y * S * across * V;
    T* to = out + y * size.width * channels;
    int64_t x = 0;
    for (; x + PIXELS <= size.width; x += PIXELS) sums<T, V, K, S, D, PIXELS>(to + x * channels, channels, row + x * S * V, across, taps);
    for (; x < size.width; ++x) sums<T, V, K, S, D, 1>(to + x * channels, channels, row + x * S * V, across, taps);
  }
}

// The weights of V channels, (V, K * K), as (K * K, V); turned: the last tap first.
template <typename T, int V>
void arrange(T* taps, const T* weight, int64_t area, bool turned) {
  for (int64_t t = 0; t < area; ++t)
    for (int v = 0; v < V; ++v) taps[t * V + v] = weight[v * area + (turned ? area - 1 - t : t)];
}

template <typename T, int V, int K, int S, int D>
void forward_block(T* out, const T* image, T floor, const T* weight, const Convolution& c, Room<T>& room) {
  const Size framed{c.in.height + 2 * c.padding, c.in.width + 2 * c.padding};
  T *taps = room.of(K * K * V + framed.pixels() * V), *at = taps + K * K * V;
  arrange<T, V>(taps, weight, K * K, false);
  frame<T, V>(at, framed, image, floor, c.in, c.channels, c.padding, 1);
  convolve<T, V, K, S, D>(out, c.out, c.channels, at, framed.width, taps);
}

// The gradient for an image: the same sums, with the taps turned round, over the gradient of the output with its pixels a stride apart.
// Nothing where the image is not above the floor.
template <typename T, int V, int K, int S, int D>
void to_image_block(T* gradient, const T* up, const T* image, T floor, const T* weight, const Convolution& c, Room<T>& room) {
  const int64_t reach = D * (K - 1);
  const Size framed{c.in.height + reach, c.in.width + reach};
  T *taps = room.of(K * K * V + framed.pixels() * V), *at = taps + K * K * V;
  arrange<T, V>(taps, weight, K * K, true);
  frame<T, V>(at, framed, up, NONE<T>, c.out, c.channels, reach - c.padding, S);
  convolve<T, V, K, 1, D>(gradient, c.in, c.channels, at, framed.width, taps);
  if (floor == NONE<T>) return;
  const Lanes<T, V> least = Lanes<T, V>{} + floor;
  for (int64_t p = 0; p < c.in.pixels() * c.channels; p += c.channels)
    store<T, V>(gradient + p, load<T, V>(image + p) <= least ? Lanes<T, V>{} : load<T, V>(gradient + p));
}

// The gradient for the rows of taps from FIRST on, as many at once as there are registers for, added to total (K * K, V).
template <typename T, int V, int K, int S, int D, int FIRST>
void weigh(double* total, const T* up, const T* framed, int64_t across, const Convolution& c) {
  constexpr int ROWS = std::min(K - FIRST, std::max(1, (REGISTERS - 2) / K));
  Lanes<T, V> sum[ROWS * K] = {};
  for (int64_t y = 0; y < c.out.height; ++y) {
    const T* row = framed + (y * S + FIRST * D) * across * V;
    const T* from = up + y * c.out.width * c.channels;
    for (int64_t x = 0; x < c.out.width; ++x, from += c.channels, row += S * V) {
      const Lanes<T, V> g = load<T, V>(from);
#pragma GCC unroll 8
      for (int ky = 0; ky < ROWS; ++ky)
#pragma GCC unroll 8
        for (int kx = 0; kx < K; ++kx) sum[ky * K + kx] += g * load<T, V>(row + (ky * across + kx) * D * V);
    }
  }
  for (int t = 0; t < ROWS * K; ++t)
    for (int v = 0; v < V; ++v) total[(FIRST * K + t) * V + v] += sum[t][v];
  if constexpr (FIRST + ROWS < K) weigh<T, V, K, S, D, FIRST + ROWS>(total, up, framed, across, c);
}

// The gradient for the weights of V channels from one image, added to total (K * K, V).
template <typename T, int V, int K, int S, int D>
void to_weight_block(double* total, const T* up, const T* image, T floor, const Convolution& c, Room<T>& room) {
  const Size framed{c.in.height + 2 * c.padding, c.in.width + 2 * c.padding};
  T* at = room.of(framed.pixels() * V);
  frame<T, V>(at, framed, image, floor, c.in, c.channels, c.padding, 1);
  weigh<T, V, K, S, D, 0>(total, up, at, framed.width, c);
}

// Calls work(K, S, D, V, channel), known to the compiler but for the first channel of each block.
template <typename T, typename F>
void unrolled(const Convolution& c, const F& work) {
  auto blocks = [&](auto k, auto s, auto d) { in_blocks<WIDEST<T>>(c.channels, 0, [&](auto lanes, int64_t at) { work(k, s, d, lanes, at); }); };
  auto strided = [&](auto k, auto d) { c.stride == 1 ? blocks(k, Int<1>(), d) : blocks(k, Int<2>(), d); };
  auto dilated = [&](auto k) { c.dilation == 1 ? strided(k, Int<1>()) : strided(k, Int<2>()); };
  if (c.kernel == 3) dilated(Int<3>());
  else if (c.kernel == 5) dilated(Int<5>());
  else strided(Int<7>(), Int<1>());
}

}  // namespace

template <typename T>
void forward(T* out, const T* image, T floor, const T* weight, const Convolution& c, Room<T>& room) {
  unrolled<T>(c, [&](auto k, auto s, auto d, auto lanes, int64_t at) {
    constexpr int K = decltype(k)::value, S = decltype(s)::value, D = decltype(d)::value, V = decltype(lanes)::value;
    forward_block<T, V, K, S, D>(out + at, image + at, floor, weight + at * K * K, c, room);
  });
}

template <typename T>
void to_image(T* gradient, const T* up, const T* image, T floor, const T* weight, const Convolution& c, Room<T>& room) {
  unrolled<T>(c, [&](auto k, auto s, auto d, auto lanes, int64_t at) {
    constexpr int K = decltype(k)::value, S = decltype(s)::value, D = decltype(d)::value, V = decltype(lanes)::value;
    to_image_block<T, V, K, S, D>(gradient + at, up + at, image + at, floor, weight + at * K * K, c, room);
  });
}

template <typename T>
void to_weight(double* total, const T* up, const T* image, T floor, const Convolution& c, Room<T>& room) {
  unrolled<T>(c, [&](auto k, auto s, auto d, auto lanes, int64_t at) {
    constexpr int K = decltype(k)::value, S = decltype(s)::value, D = decltype(d)::value, V = decltype(lanes)::value;
    to_weight_block<T, V, K, S, D>(total + at * K * K, up + at, image + at, floor, c, room);
  });
}

template <typename T>
void gathered(T* gradient, const double* totals, int64_t threads, int64_t size, const Convolution& c) {
  const int64_t area = c.kernel * c.kernel;
  in_blocks<WIDEST<T>>(c.channels, 0, [&](auto lanes, int64_t at) {
    constexpr int V = decltype(lanes)::value;
    for (int64_t i = 0; i < V * area; ++i) {
      double sum = 0;
      for (int64_t t = 0; t < threads; ++t) sum += totals[t * size + at * area + i];
      gradient[(at + i % V) * area + i / V] = static_cast<T>(sum);
    }
  });
}

#define FOR(T)                                                                                                        \
  template void forward<T>(T*, const T*, T, const T*, const Convolution&, Room<T>&);                                  \
  template void to_image<T>(T*, const T*, const T*, T, const T*, const Convolution&, Room<T>&);                       \
  template void to_weight<T>(double*, const T*, const T*, T, const Convolution&, Room<T>&);                           \
  template void gathered<T>(T*, const double*, int64_t, int64_t, const Convolution&);
FOR(float)
FOR(double)

}  // namespace supernet
