// Depthwise convolutions of channels_last images on the CPU, forward and both gradients, with the padding inside.
//
// Each image is copied into a frame of zeros, so that no pixel is asked where it lies; the sums over taps are unrolled for the kernel
// size, stride and dilation, and each pixel is read once for all outputs of a row that it is part of.
#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/convolution_backward.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <algorithm>
#include <cstring>
#include <tuple>
#include <vector>

#include "lanes.h"

namespace supernet {
namespace {

constexpr int PIXELS = 8;  // neighbours whose sums are held in registers at once

struct Size {
  int64_t height, width;
  int64_t pixels() const { return height * width; }
};

struct Convolution {
  int64_t images, channels;
  Size in, out;
  int64_t kernel, stride, padding, dilation;
};

// V channels of an image, its pixels `step` apart, within a border of zeros: (height + 2 border, width + 2 border, V).
template <typename T, int V>
void frame(T* to, Size framed, const T* image, Size size, int64_t channels, int64_t border, int64_t step) {
  std::memset(to, 0, sizeof(T) * framed.pixels() * V);
  for (int64_t y = 0; y < size.height; ++y) {
    const T* from = image + y * size.width * channels;
    T* at = to + ((y * step + border) * framed.width + border) * V;
    for (int64_t x = 0; x < size.width; ++x, from += channels, at += step * V) store<T, V>(at, load<T, V>(from));
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
void forward(T* out, const T* image, const T* weight, const Convolution& c, Room<T>& room) {
  const Size framed{c.in.height + 2 * c.padding, c.in.width + 2 * c.padding};
  T *taps = room.of(K * K * V + framed.pixels() * V), *at = taps + K * K * V;
  arrange<T, V>(taps, weight, K * K, false);
  frame<T, V>(at, framed, image, c.in, c.channels, c.padding, 1);
  convolve<T, V, K, S, D>(out, c.out, c.channels, at, framed.width, taps);
}

// The gradient for an image: the same sums, with the taps turned round, over the gradient of the output with its pixels a stride apart.
template <typename T, int V, int K, int S, int D>
void to_image(T* gradient, const T* up, const T* weight, const Convolution& c, Room<T>& room) {
  const int64_t reach = D * (K - 1);
  const Size framed{c.in.height + reach, c.in.width + reach};
  T *taps = room.of(K * K * V + framed.pixels() * V), *at = taps + K * K * V;
  arrange<T, V>(taps, weight, K * K, true);
  frame<T, V>(at, framed, up, c.out, c.channels, reach - c.padding, S);
  convolve<T, V, K, 1, D>(gradient, c.in, c.channels, at, framed.width, taps);
}

// The gradient for the weights of V channels from one image, added to total (K * K, V).
template <typename T, int V, int K, int S, int D>
void to_weight(double* total, const T* up, const T* image, const Convolution& c, Room<T>& room) {
  const Size framed{c.in.height + 2 * c.padding, c.in.width + 2 * c.padding};
  T* at = room.of(framed.pixels() * V);
  frame<T, V>(at, framed, image, c.in, c.channels, c.padding, 1);
  constexpr int ROWS = K <= 5 ? K : 1;  // as many taps at once as there are registers
  for (int first = 0; first < K; first += ROWS) {
    Lanes<T, V> sum[ROWS * K] = {};
    for (int64_t y = 0; y < c.out.height; ++y) {
      const T* row = at + (y * S + first * D) * framed.width * V;
      const T* from = up + y * c.out.width * c.channels;
      for (int64_t x = 0; x < c.out.width; ++x, from += c.channels, row += S * V) {
        const Lanes<T, V> g = load<T, V>(from);
#pragma GCC unroll 8
        for (int ky = 0; ky < ROWS; ++ky)
#pragma GCC unroll 8
          for (int kx = 0; kx < K; ++kx) sum[ky * K + kx] += g * load<T, V>(row + (ky * framed.width + kx) * D * V);
      }
    }
    for (int t = 0; t < ROWS * K; ++t)
      for (int v = 0; v < V; ++v) total[(first * K + t) * V + v] += sum[t][v];
  }
}

// Calls work(K, S, D), known to the compiler.
template <typename F>
void unrolled(const Convolution& c, const F& work) {
  auto strided = [&](auto k, auto d) { c.stride == 1 ? work(k, Int<1>(), d) : work(k, Int<2>(), d); };
  auto dilated = [&](auto k) { c.dilation == 1 ? strided(k, Int<1>()) : strided(k, Int<2>()); };
  if (c.kernel == 3) dilated(Int<3>());
  else if (c.kernel == 5) dilated(Int<5>());
  else strided(Int<7>(), Int<1>());
}

Convolution described(const at::Tensor& x, const at::Tensor& weight, int64_t stride, int64_t padding, int64_t dilation) {
  const int64_t kernel = weight.size(2);
  const bool known = (kernel == 3 || kernel == 5 || (kernel == 7 && dilation == 1)) && (stride == 1 || stride == 2) && (dilation == 1 || dilation == 2);
  TORCH_CHECK(known && padding == dilation * (kernel / 2) && weight.size(3) == kernel && weight.size(0) == x.size(1) && weight.size(1) == 1,
              "a depthwise convolution of 3x3, 5x5 or 7x7 that keeps sizes is needed");
  auto after = [&](int64_t n) { return (n + 2 * padding - dilation * (kernel - 1) - 1) / stride + 1; };
  return {x.size(0), x.size(1), {x.size(2), x.size(3)}, {after(x.size(2)), after(x.size(3))}, kernel, stride, padding, dilation};
}

at::Tensor depthwise(const at::Tensor& input, const at::Tensor& weights, int64_t stride, int64_t padding, int64_t dilation) {
  const auto x = input.contiguous(at::MemoryFormat::ChannelsLast), weight = weights.contiguous();
  const Convolution c = described(x, weight, stride, padding, dilation);
  const auto out = at::empty({c.images, c.channels, c.out.height, c.out.width}, x.options(), at::MemoryFormat::ChannelsLast);
  AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "depthwise", [&] {
    const scalar_t *from = x.const_data_ptr<scalar_t>(), *w = weight.const_data_ptr<scalar_t>();
    scalar_t* to = out.mutable_data_ptr<scalar_t>();
    unrolled(c, [&](auto kernel, auto stride, auto dilation) {
      constexpr int K = decltype(kernel)::value, S = decltype(stride)::value, D = decltype(dilation)::value;
      at::parallel_for(0, c.images, 1, [&](int64_t begin, int64_t end) {
        Room<scalar_t> room;
        for (int64_t n = begin; n < end; ++n)
          in_blocks<WIDEST<scalar_t>>(c.channels, 0, [&](auto lanes, int64_t at) {
            scalar_t* image = to + n * c.out.pixels() * c.channels + at;
            forward<scalar_t, decltype(lanes)::value, K, S, D>(image, from + n * c.in.pixels() * c.channels + at, w + at * K * K, c, room);
          });
      });
    });
  });
  return out;
}

std::tuple<at::Tensor, at::Tensor> depthwise_backward(const at::Tensor& gradient, const at::Tensor& input, const at::Tensor& weights,
                                                      int64_t stride, int64_t padding, int64_t dilation, bool of_input, bool of_weight) {
  const auto x = input.contiguous(at::MemoryFormat::ChannelsLast), up = gradient.contiguous(at::MemoryFormat::ChannelsLast);
  const auto weight = weights.contiguous();
  const Convolution c = described(x, weight, stride, padding, dilation);
  at::Tensor by_input, by_weight;
  if (of_input) by_input = at::empty_like(x);
  if (of_weight) by_weight = at::empty_like(weight);
  AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "depthwise_backward", [&] {
    const scalar_t *from = x.const_data_ptr<scalar_t>(), *w = weight.const_data_ptr<scalar_t>(), *g = up.const_data_ptr<scalar_t>();
    scalar_t* to = of_input ? by_input.mutable_data_ptr<scalar_t>() : nullptr;
    unrolled(c, [&](auto kernel, auto stride, auto dilation) {
      constexpr int K = decltype(kernel)::value, S = decltype(stride)::value, D = decltype(dilation)::value;
      const int64_t threads = at::get_num_threads(), size = c.channels * K * K, share = (c.images + threads - 1) / threads;
      std::vector<double> totals(of_weight ? threads * size : 0, 0.0);  // of each thread, so that no order of threads changes a sum
      at::parallel_for(0, threads, 1, [&](int64_t begin, int64_t end) {
        Room<scalar_t> room;
        for (int64_t t = begin; t < end; ++t)
          for (int64_t n = t * share; n < std::min(c.images, (t + 1) * share); ++n)
            in_blocks<WIDEST<scalar_t>>(c.channels, 0, [&](auto lanes, int64_t at) {
              constexpr int V = decltype(lanes)::value;
              const int64_t image = n * c.in.pixels() * c.channels + at;
              const scalar_t* above = g + n * c.out.pixels() * c.channels + at;
              if (of_input) to_image<scalar_t, V, K, S, D>(to + image, above, w + at * K * K, c, room);
              if (of_weight) to_weight<scalar_t, V, K, S, D>(totals.data() + t * size + at * K * K, above, from + image, c, room);
            });
      });
      if (!of_weight) return;
      scalar_t* target = by_weight.mutable_data_ptr<scalar_t>();
      in_blocks<WIDEST<scalar_t>>(c.channels, 0, [&](auto lanes, int64_t at) {
        constexpr int V = decltype(lanes)::value;
        for (int64_t i = 0; i < V * K * K; ++i) {
          double sum = 0;
          for (int64_t t = 0; t < threads; ++t) sum += totals[t * size + at * K * K + i];
          target[(at + i % V) * K * K + i / V] = static_cast<scalar_t>(sum);
        }
      });
    });
  });
  return {by_input, by_weight};
}

at::Tensor call(const at::Tensor& x, const at::Tensor& weight, int64_t stride, int64_t padding, int64_t dilation) {
  static const auto op = c10::Dispatcher::singleton().findSchemaOrThrow("supernet::depthwise", "").typed<decltype(depthwise)>();
  return op.call(x, weight, stride, padding, dilation);
}

// The gradients that are asked for and no others; a gradient of these is PyTorch's.
struct Depthwise : torch::autograd::Function<Depthwise> {
  using Context = torch::autograd::AutogradContext;
  using Tensors = torch::autograd::variable_list;

  static at::Tensor forward(Context* context, const at::Tensor& x, const at::Tensor& weight, int64_t stride, int64_t padding, int64_t dilation) {
    context->save_for_backward({x, weight});
    context->saved_data["how"] = std::vector<int64_t>{stride, padding, dilation};
    at::AutoDispatchBelowADInplaceOrView below;
    return call(x, weight, stride, padding, dilation);
  }

  static Tensors backward(Context* context, Tensors up) {
    const auto saved = context->get_saved_variables();
    const auto how = context->saved_data["how"].toIntVector();
    const bool of_x = context->needs_input_grad(0), of_weight = context->needs_input_grad(1);
    if (at::GradMode::is_enabled()) {
      const auto twice = [](int64_t n) { return std::vector<int64_t>{n, n}; };
      auto [x, weight, bias] = at::convolution_backward(up[0], saved[0], saved[1], std::nullopt, twice(how[0]), twice(how[1]), twice(how[2]), false,
                                                        twice(0), saved[0].size(1), {of_x, of_weight, false});
      return {x, weight, {}, {}, {}};
    }
    static const auto op =
        c10::Dispatcher::singleton().findSchemaOrThrow("supernet::depthwise_backward", "").typed<decltype(depthwise_backward)>();
    auto [x, weight] = op.call(up[0], saved[0], saved[1], how[0], how[1], how[2], of_x, of_weight);
    return {x, weight, {}, {}, {}};
  }
};

at::Tensor recorded(const at::Tensor& x, const at::Tensor& weight, int64_t stride, int64_t padding, int64_t dilation) {
  return Depthwise::apply(x, weight, stride, padding, dilation);
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(supernet, library) {
  library.def("depthwise(Tensor x, Tensor weight, int stride, int padding, int dilation) -> Tensor");
  library.def(
      "depthwise_backward(Tensor up, Tensor x, Tensor weight, int stride, int padding, int dilation, bool of_x, bool of_weight) "
      "-> (Tensor, Tensor)");
}

TORCH_LIBRARY_IMPL(supernet, CPU, library) {
  library.impl("depthwise", &depthwise);
  library.impl("depthwise_backward", &depthwise_backward);
}

TORCH_LIBRARY_IMPL(supernet, Autograd, library) { library.impl("depthwise", &recorded); }

}  // namespace supernet
