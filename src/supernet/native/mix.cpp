// Weighted sums of images whose channels are scaled and shifted: batch norms of several operations, their weights and their sum at once.
//
// All images are channels_last and of one shape; rows are their pixels. Sums over rows are in double precision.
#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/var_mean.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <algorithm>
#include <cmath>
#include <tuple>
#include <vector>

#include "lanes.h"

namespace supernet {
namespace {

constexpr int64_t ROWS = 256;  // pixels that are summed in the images' own precision before they are added up in double
constexpr int MOST = 16;       // images of one sum

int64_t rows_of(const at::Tensor& x) { return x.numel() / std::max<int64_t>(x.size(1), 1); }

template <typename T>
struct Images {
  const T* of[MOST];
  int count;
  explicit Images(at::TensorList images) : count(static_cast<int>(images.size())) {
    TORCH_CHECK(0 < count && count <= MOST, "between 1 and ", MOST, " images can be added up");
    for (int i = 0; i < count; ++i) {
      TORCH_CHECK(images[i].sizes() == images[0].sizes() && images[i].is_contiguous(at::MemoryFormat::ChannelsLast), "images must be alike");
      of[i] = images[i].const_data_ptr<T>();
    }
  }
};

// Calls work(begin, end, room for `size` sums) for stretches of rows, in as many threads as there are; adds the sums up: (size,).
template <typename F>
at::Tensor summed(int64_t rows, int64_t size, const F& work) {
  const int64_t threads = at::get_num_threads(), share = (rows + threads - 1) / threads;
  auto totals = at::zeros({threads, size}, at::kDouble);
  double* to = totals.mutable_data_ptr<double>();
  at::parallel_for(0, threads, 1, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t)
      for (int64_t row = t * share; row < std::min(rows, (t + 1) * share); row += ROWS)
        work(row, std::min({rows, (t + 1) * share, row + ROWS}), to + t * size);
  });
  return totals.sum(0);
}

// (2, C): of each channel the sums of x - first and of its square, where first is the first row.
template <typename T>
at::Tensor moments(const T* from, int64_t rows, int64_t channels) {
  return summed(rows, 2 * channels, [&](int64_t begin, int64_t end, double* to) {
    in_blocks<WIDEST<T>>(channels, 0, [&](auto lanes, int64_t at) {
      constexpr int V = decltype(lanes)::value;
      Lanes<T, V> sum = {}, squares = {};
      const Lanes<T, V> first = load<T, V>(from + at);
      for (int64_t r = begin; r < end; ++r) {
        const Lanes<T, V> d = load<T, V>(from + r * channels + at) - first;
        sum += d;
        squares += d * d;
      }
      for (int v = 0; v < V; ++v) to[at + v] += sum[v], to[channels + at + v] += squares[v];
    });
  });
}

// The sum over images of scale[i] * normalised(images[i]), and of shift. scale: (n, C), shift: (C,), both in double precision; eps: below
// zero where an image is not normalised. Returns it with the means, the biased variances and 1 / the deviations: (n, C), 0, 1, 1 of those.
std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor> mix(at::TensorList images, const at::Tensor& scale, const at::Tensor& shift,
                                                               at::ArrayRef<double> eps) {
  const int64_t channels = images[0].size(1), rows = rows_of(images[0]);
  auto out = at::empty_like(images[0]);
  auto means = at::zeros(scale.sizes(), at::kDouble), variances = at::ones(scale.sizes(), at::kDouble), spreads = at::ones(scale.sizes(), at::kDouble);
  AT_DISPATCH_FLOATING_TYPES(out.scalar_type(), "mix", [&] {
    const Images<scalar_t> from(images);
    const double* by = scale.const_data_ptr<double>();
    std::vector<double> total(shift.const_data_ptr<double>(), shift.const_data_ptr<double>() + channels);
    std::vector<scalar_t> factors(from.count * channels);
    for (int i = 0; i < from.count; ++i) {
      double *mean = means.mutable_data_ptr<double>() + i * channels, *variance = variances.mutable_data_ptr<double>() + i * channels;
      double* spread = spreads.mutable_data_ptr<double>() + i * channels;
      at::Tensor sums;
      if (eps[i] >= 0) sums = moments<scalar_t>(from.of[i], rows, channels);
      for (int64_t c = 0; c < channels; ++c) {
        if (eps[i] >= 0) {
          const double *of = sums.const_data_ptr<double>(), offset = of[c] / rows;
          mean[c] = from.of[i][c] + offset;
          variance[c] = of[channels + c] / rows - offset * offset;
          spread[c] = 1 / std::sqrt(variance[c] + eps[i]);
        }
        const double factor = by[i * channels + c] * spread[c];
        factors[i * channels + c] = static_cast<scalar_t>(factor);
        total[c] -= factor * mean[c];
      }
    }
    const std::vector<scalar_t> base(total.begin(), total.end());
    scalar_t* to = out.mutable_data_ptr<scalar_t>();
    at::parallel_for(0, rows, ROWS, [&](int64_t begin, int64_t end) {
      in_blocks<WIDEST<scalar_t>>(channels, 0, [&](auto lanes, int64_t at) {
        constexpr int V = decltype(lanes)::value;
        Lanes<scalar_t, V> factor[MOST];
        for (int i = 0; i < from.count; ++i) factor[i] = load<scalar_t, V>(factors.data() + i * channels + at);
        for (int64_t r = begin; r < end; ++r) {
          Lanes<scalar_t, V> sum = load<scalar_t, V>(base.data() + at);
          for (int i = 0; i < from.count; ++i) sum += factor[i] * load<scalar_t, V>(from.of[i] + r * channels + at);
          store<scalar_t, V>(to + r * channels + at, sum);
        }
      });
    });
  });
  return {out, means, variances, spreads};
}

// Moves running statistics by the means and biased variances (C,) of a batch of so many rows; momentum below 0: the mean of all batches.
void count(const at::Tensor& running_mean, const at::Tensor& running_variance, const at::Tensor& batches, const at::Tensor& mean,
           const at::Tensor& variance, double momentum, int64_t rows) {
  const auto seen = ++*batches.mutable_data_ptr<int64_t>();
  const double share = momentum < 0 ? 1.0 / seen : momentum, unbiased = static_cast<double>(rows) / (rows - 1);
  TORCH_CHECK(running_mean.is_contiguous() && running_variance.is_contiguous() && mean.is_contiguous() && variance.is_contiguous(),
              "statistics must lie in one piece");
  AT_DISPATCH_FLOATING_TYPES(running_mean.scalar_type(), "count", [&] {
    scalar_t *means = running_mean.mutable_data_ptr<scalar_t>(), *variances = running_variance.mutable_data_ptr<scalar_t>();
    for (int64_t c = 0; c < running_mean.numel(); ++c) {
      means[c] += static_cast<scalar_t>(share * (mean.const_data_ptr<double>()[c] - means[c]));
      variances[c] += static_cast<scalar_t>(share * (variance.const_data_ptr<double>()[c] * unbiased - variances[c]));
    }
  });
  for (const auto* moved : {&running_mean, &running_variance, &batches}) moved->unsafeGetTensorImpl()->bump_version();
}

// (1 + n, C): of each channel the sum of up, then of up * images[i].
template <typename T>
at::Tensor products(const T* up, const Images<T>& from, int64_t rows, int64_t channels) {
  return summed(rows, (1 + from.count) * channels, [&](int64_t begin, int64_t end, double* to) {
    in_blocks<WIDEST<T>>(channels, 0, [&](auto lanes, int64_t at) {
      constexpr int V = decltype(lanes)::value;
      Lanes<T, V> sum[1 + MOST] = {};
      for (int64_t r = begin; r < end; ++r) {
        const Lanes<T, V> g = load<T, V>(up + r * channels + at);
        sum[0] += g;
        for (int i = 0; i < from.count; ++i) sum[1 + i] += g * load<T, V>(from.of[i] + r * channels + at);
      }
      for (int i = 0; i <= from.count; ++i)
        for (int v = 0; v < V; ++v) to[i * channels + at + v] += sum[i][v];
    });
  });
}

// The gradients of mix: for scale (n, C) and shift (C,), in double precision, and for each image where of_images.
std::tuple<at::Tensor, at::Tensor, std::vector<at::Tensor>> mix_backward(const at::Tensor& up, at::TensorList images, const at::Tensor& scale,
                                                                         const at::Tensor& means, const at::Tensor& spreads,
                                                                         at::ArrayRef<double> eps, bool of_images) {
  const int64_t channels = up.size(1), rows = rows_of(up);
  TORCH_CHECK(up.is_contiguous(at::MemoryFormat::ChannelsLast), "the gradient must be channels_last");
  auto by_scale = at::zeros(scale.sizes(), at::kDouble), by_shift = at::zeros({channels}, at::kDouble);
  std::vector<at::Tensor> out;
  if (of_images)
    for (const auto& image : images) out.push_back(at::empty_like(image));
  AT_DISPATCH_FLOATING_TYPES(up.scalar_type(), "mix_backward", [&] {
    const Images<scalar_t> from(images);
    const scalar_t* g = up.const_data_ptr<scalar_t>();
    const auto sums = products<scalar_t>(g, from, rows, channels);
    const double *total = sums.const_data_ptr<double>(), *by = scale.const_data_ptr<double>();
    const double *mean = means.const_data_ptr<double>(), *spread = spreads.const_data_ptr<double>();
    std::copy(total, total + channels, by_shift.mutable_data_ptr<double>());
    std::vector<scalar_t> factors(from.count * channels), slopes(from.count * channels), bases(from.count * channels);
    for (int64_t at = 0; at < from.count * channels; ++at) {  // the gradient for an image: factor * up + slope * image + base
      const int64_t c = at % channels;
      const double slope = spread[at] * (total[channels + at] - mean[at] * total[c]), factor = by[at] * spread[at];
      const bool normed = eps[at / channels] >= 0;
      const double steep = normed ? -factor * spread[at] * slope / rows : 0;
      by_scale.mutable_data_ptr<double>()[at] = slope;
      factors[at] = static_cast<scalar_t>(factor);
      slopes[at] = static_cast<scalar_t>(steep);
      bases[at] = static_cast<scalar_t>(normed ? -factor * total[c] / rows - steep * mean[at] : 0);
    }
    std::vector<scalar_t*> to;
    for (auto& tensor : out) to.push_back(tensor.mutable_data_ptr<scalar_t>());
    at::parallel_for(0, of_images ? rows : 0, ROWS, [&](int64_t first, int64_t last) {
      for (int64_t begin = first; begin < last; begin += ROWS)  // few enough rows that those of `up` stay near for all images
        for (int i = 0; i < from.count; ++i)
          in_blocks<WIDEST<scalar_t>>(channels, 0, [&](auto lanes, int64_t at) {
            constexpr int V = decltype(lanes)::value;
            const auto factor = load<scalar_t, V>(factors.data() + i * channels + at), slope = load<scalar_t, V>(slopes.data() + i * channels + at);
            const auto base = load<scalar_t, V>(bases.data() + i * channels + at);
            for (int64_t r = begin; r < std::min(last, begin + ROWS); ++r) {
              const int64_t row = r * channels + at;
              store<scalar_t, V>(to[i] + row, factor * load<scalar_t, V>(g + row) + slope * load<scalar_t, V>(from.of[i] + row) + base);
            }
          });
    });
  });
  return {by_scale, by_shift, out};
}

// The same gradients by operations that have gradients themselves.
torch::autograd::variable_list differentiable(const at::Tensor& up, at::TensorList images, const at::Tensor& scale, at::ArrayRef<double> eps) {
  const std::vector<int64_t> over{0, 2, 3};
  torch::autograd::variable_list by_scale, by_images;
  for (size_t i = 0; i < images.size(); ++i) {
    const auto factor = scale[i].to(up.scalar_type()).view({1, -1, 1, 1});
    if (eps[i] < 0) {
      by_scale.push_back((up * images[i]).sum(over));
      by_images.push_back(factor * up);
      continue;
    }
    const auto [variance, mean] = at::var_mean(images[i], over, 0, true);
    const auto spread = (variance + eps[i]).rsqrt(), normed = (images[i] - mean) * spread;
    by_scale.push_back((up * normed).sum(over));
    by_images.push_back(factor * spread * (up - up.mean(over, true) - normed * (up * normed).mean(over, true)));
  }
  torch::autograd::variable_list out{at::stack(by_scale).to(at::kDouble), up.sum(over).to(at::kDouble)};
  out.insert(out.end(), by_images.begin(), by_images.end());
  return out;
}

struct Mix : torch::autograd::Function<Mix> {
  using Context = torch::autograd::AutogradContext;
  using Tensors = torch::autograd::variable_list;

  static Tensors forward(Context* context, at::TensorList images, const at::Tensor& scale, const at::Tensor& shift, at::ArrayRef<double> eps) {
    at::AutoDispatchBelowADInplaceOrView below;
    static const auto op = c10::Dispatcher::singleton().findSchemaOrThrow("supernet::mix", "").typed<decltype(mix)>();
    auto [out, means, variances, spreads] = op.call(images, scale, shift, eps);
    Tensors saved{scale, means, spreads};
    saved.insert(saved.end(), images.begin(), images.end());
    context->save_for_backward(saved);
    context->saved_data["eps"] = eps.vec();
    context->mark_non_differentiable({means, variances, spreads});
    return {out, means, variances, spreads};
  }

  static Tensors backward(Context* context, Tensors ups) {
    const auto saved = context->get_saved_variables();
    const auto eps = context->saved_data["eps"].toDoubleVector();
    const at::TensorList images(saved.data() + 3, saved.size() - 3);
    Tensors by_images, given;
    if (at::GradMode::is_enabled()) {
      given = differentiable(ups[0], images, saved[0], eps);
      by_images.assign(given.begin() + 2, given.end());
    } else {
      bool of_images = false;
      for (size_t i = 0; i < images.size(); ++i) of_images = of_images || context->needs_input_grad(i);
      static const auto op = c10::Dispatcher::singleton().findSchemaOrThrow("supernet::mix_backward", "").typed<decltype(mix_backward)>();
      auto [by_scale, by_shift, tensors] =
          op.call(ups[0].contiguous(at::MemoryFormat::ChannelsLast), images, saved[0], saved[1], saved[2], eps, of_images);
      given = {by_scale, by_shift};
      by_images.assign(tensors.begin(), tensors.end());
    }
    by_images.resize(images.size());
    by_images.insert(by_images.end(), {given[0], given[1], at::Tensor()});
    return by_images;
  }
};

std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor> recorded(at::TensorList images, const at::Tensor& scale, const at::Tensor& shift,
                                                                    at::ArrayRef<double> eps) {
  const auto out = Mix::apply(images, scale, shift, eps);
  return {out[0], out[1], out[2], out[3]};
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(supernet, library) {
  library.def(
      "count(Tensor(a!) running_mean, Tensor(b!) running_variance, Tensor(c!) batches, Tensor mean, Tensor variance, float momentum, int rows) "
      "-> ()");
  library.def("mix(Tensor[] images, Tensor scale, Tensor shift, float[] eps) -> (Tensor, Tensor, Tensor, Tensor)");
  library.def(
      "mix_backward(Tensor up, Tensor[] images, Tensor scale, Tensor means, Tensor spreads, float[] eps, bool of_images) "
      "-> (Tensor, Tensor, Tensor[])");
}

TORCH_LIBRARY_IMPL(supernet, CPU, library) {
  library.impl("count", &count);
  library.impl("mix", &mix);
  library.impl("mix_backward", &mix_backward);
}

TORCH_LIBRARY_IMPL(supernet, Autograd, library) { library.impl("mix", &recorded); }

}  // namespace supernet
