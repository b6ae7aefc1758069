// Depthwise and separable convolutions of channels_last images on the CPU, forward and all gradients, with the padding inside.
//
// A separable one is a ReLU, where it is asked for, a depthwise and a pointwise convolution, an image at a time, so that what lies between the
// two is not written out; the backward pass computes it again.
#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/convolution.h>
#include <ATen/ops/convolution_backward.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/relu.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <algorithm>
#include <tuple>
#include <vector>

#include "matrices.h"
#include "taps.h"

namespace supernet {
namespace {

// Raises where the kernels do not have it.
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
    at::parallel_for(0, c.images, 1, [&](int64_t begin, int64_t end) {
      Room<scalar_t> room;
      for (int64_t n = begin; n < end; ++n)
        forward(to + n * c.out.pixels() * c.channels, from + n * c.in.pixels() * c.channels, NONE<scalar_t>, w, c, room);
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
    const int64_t threads = at::get_num_threads(), size = c.channels * c.kernel * c.kernel, share = (c.images + threads - 1) / threads;
    std::vector<double> totals(of_weight ? threads * size : 0, 0.0);  // of each thread, so that no order of threads changes a sum
    at::parallel_for(0, threads, 1, [&](int64_t begin, int64_t end) {
      Room<scalar_t> room;
      for (int64_t t = begin; t < end; ++t)
        for (int64_t n = t * share; n < std::min(c.images, (t + 1) * share); ++n) {
          const int64_t image = n * c.in.pixels() * c.channels;
          const scalar_t* above = g + n * c.out.pixels() * c.channels;
          if (of_input) to_image(to + image, above, from + image, NONE<scalar_t>, w, c, room);
          if (of_weight) to_weight(totals.data() + t * size, above, from + image, NONE<scalar_t>, c, room);
        }
    });
    if (of_weight) gathered(by_weight.mutable_data_ptr<scalar_t>(), totals.data(), threads, size, c);
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

at::Tensor recorded_depthwise(const at::Tensor& x, const at::Tensor& weight, int64_t stride, int64_t padding, int64_t dilation) {
  return Depthwise::apply(x, weight, stride, padding, dilation);
}

at::Tensor separable(const at::Tensor& input, const at::Tensor& depthwise, const at::Tensor& pointwise, int64_t stride, int64_t padding,
                     int64_t dilation, bool rectified) {
  const auto x = input.contiguous(at::MemoryFormat::ChannelsLast), deep = depthwise.contiguous();
  const Convolution c = described(x, deep, stride, padding, dilation);
  const int64_t outputs = pointwise.size(0);
  TORCH_CHECK(pointwise.numel() == outputs * c.channels, "a pointwise convolution of as many inputs as the depthwise one has is needed");
  const auto across = pointwise.reshape({outputs, c.channels}).t().contiguous();  // (C, O)
  const auto out = at::empty({c.images, outputs, c.out.height, c.out.width}, x.options(), at::MemoryFormat::ChannelsLast);
  AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "separable", [&] {
    const scalar_t *from = x.const_data_ptr<scalar_t>(), *taps = deep.const_data_ptr<scalar_t>(), *w = across.const_data_ptr<scalar_t>();
    scalar_t *to = out.mutable_data_ptr<scalar_t>(), floor = rectified ? 0 : NONE<scalar_t>;
    at::parallel_for(0, c.images, 1, [&](int64_t begin, int64_t end) {
      Room<scalar_t> room, held;
      scalar_t* middle = held.of(c.out.pixels() * c.channels);
      for (int64_t n = begin; n < end; ++n) {
        forward(middle, from + n * c.in.pixels() * c.channels, floor, taps, c, room);
        multiply(to + n * c.out.pixels() * outputs, middle, w, c.out.pixels(), c.channels, outputs);
      }
    });
  });
  return out;
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> separable_backward(const at::Tensor& gradient, const at::Tensor& input, const at::Tensor& depthwise,
                                                                  const at::Tensor& pointwise, int64_t stride, int64_t padding, int64_t dilation,
                                                                  bool rectified, bool of_input, bool of_depthwise, bool of_pointwise) {
  const auto x = input.contiguous(at::MemoryFormat::ChannelsLast), up = gradient.contiguous(at::MemoryFormat::ChannelsLast);
  const auto deep = depthwise.contiguous(), across = pointwise.contiguous();  // (C, 1, K, K), (O, C, 1, 1)
  const Convolution c = described(x, deep, stride, padding, dilation);
  const int64_t outputs = pointwise.size(0), area = c.kernel * c.kernel;
  at::Tensor by_input, by_depthwise, by_pointwise;
  if (of_input) by_input = at::empty_like(x);
  if (of_depthwise) by_depthwise = at::empty_like(deep);
  if (of_pointwise) by_pointwise = at::empty_like(across);
  AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "separable_backward", [&] {
    const scalar_t *from = x.const_data_ptr<scalar_t>(), *above = up.const_data_ptr<scalar_t>();
    const scalar_t *taps = deep.const_data_ptr<scalar_t>(), *w = across.const_data_ptr<scalar_t>();
    scalar_t *to = of_input ? by_input.mutable_data_ptr<scalar_t>() : nullptr, floor = rectified ? 0 : NONE<scalar_t>;
    const int64_t narrow = of_depthwise ? deep.numel() : 0, wide = of_pointwise ? across.numel() : 0, size = narrow + wide;
    const int64_t threads = at::get_num_threads(), share = (c.images + threads - 1) / threads;
    std::vector<double> totals(threads * size, 0.0);  // of each thread, so that no order of threads changes a sum
    at::parallel_for(0, threads, 1, [&](int64_t begin, int64_t end) {
      Room<scalar_t> room, held;
      const int64_t pixels = c.out.pixels() * c.channels;
      scalar_t* middle = held.of(pixels + wide);
      for (int64_t t = begin; t < end; ++t)
        for (int64_t n = t * share; n < std::min(c.images, (t + 1) * share); ++n) {
          double* total = totals.data() + t * size;
          const int64_t at = n * c.in.pixels() * c.channels;
          const scalar_t* g = above + n * c.out.pixels() * outputs;
          if (of_pointwise) {
            forward(middle, from + at, floor, taps, c, room);
            add_products(total + narrow, middle + pixels, g, middle, c.out.pixels(), outputs, c.channels);
          }
          if (of_input || of_depthwise) multiply(middle, g, w, c.out.pixels(), outputs, c.channels);
          if (of_depthwise) to_weight(total, middle, from + at, floor, c, room);
          if (of_input) to_image(to + at, middle, from + at, floor, taps, c, room);
        }
    });
    if (of_depthwise) gathered(by_depthwise.mutable_data_ptr<scalar_t>(), totals.data(), threads, size, c);
    for (int64_t i = 0; i < wide; ++i) {
      double sum = 0;
      for (int64_t t = 0; t < threads; ++t) sum += totals[t * size + narrow + i];
      by_pointwise.mutable_data_ptr<scalar_t>()[i] = static_cast<scalar_t>(sum);
    }
  });
  return {by_input, by_depthwise, by_pointwise};
}

at::Tensor call(const at::Tensor& x, const at::Tensor& depthwise, const at::Tensor& pointwise, int64_t stride, int64_t padding,
                int64_t dilation, bool rectified) {
  static const auto op = c10::Dispatcher::singleton().findSchemaOrThrow("supernet::separable", "").typed<decltype(separable)>();
  return op.call(x, depthwise, pointwise, stride, padding, dilation, rectified);
}

// The gradients that are asked for and no others; a gradient of these is PyTorch's.
struct Separable : torch::autograd::Function<Separable> {
  using Context = torch::autograd::AutogradContext;
  using Tensors = torch::autograd::variable_list;

  static at::Tensor forward(Context* context, const at::Tensor& x, const at::Tensor& depthwise, const at::Tensor& pointwise, int64_t stride,
                            int64_t padding, int64_t dilation, bool rectified) {
    context->save_for_backward({x, depthwise, pointwise});
    context->saved_data["how"] = std::vector<int64_t>{stride, padding, dilation, rectified};
    at::AutoDispatchBelowADInplaceOrView below;
    return call(x, depthwise, pointwise, stride, padding, dilation, rectified);
  }

  static Tensors backward(Context* context, Tensors up) {
    const auto saved = context->get_saved_variables();
    const auto how = context->saved_data["how"].toIntVector();
    const bool of_x = context->needs_input_grad(0), of_deep = context->needs_input_grad(1), of_across = context->needs_input_grad(2);
    if (at::GradMode::is_enabled()) return differentiable(up[0], saved, how, of_x, of_deep, of_across);
    static const auto op =
        c10::Dispatcher::singleton().findSchemaOrThrow("supernet::separable_backward", "").typed<decltype(separable_backward)>();
    auto [x, deep, across] =
        op.call(up[0], saved[0], saved[1], saved[2], how[0], how[1], how[2], how[3] != 0, of_x, of_deep, of_across);
    return {x, deep, across, {}, {}, {}, {}};
  }

  static Tensors differentiable(const at::Tensor& up, const Tensors& saved, const std::vector<int64_t>& how, bool of_x, bool of_deep, bool of_across) {
    const auto twice = [](int64_t n) { return std::vector<int64_t>{n, n}; };
    const auto x = how[3] ? at::relu(saved[0]) : saved[0];
    const int64_t groups = x.size(1);
    const auto middle = at::convolution(x, saved[1], std::nullopt, twice(how[0]), twice(how[1]), twice(how[2]), false, twice(0), groups);
    auto [under, across, no_bias] = at::convolution_backward(up, middle, saved[2], std::nullopt, twice(1), twice(0), twice(1), false, twice(0), 1,
                                                             {of_x || of_deep, of_across, false});
    if (!of_x && !of_deep) return {{}, {}, across, {}, {}, {}, {}};
    auto [down, deep, none] = at::convolution_backward(under, x, saved[1], std::nullopt, twice(how[0]), twice(how[1]), twice(how[2]), false,
                                                       twice(0), groups, {of_x, of_deep, false});
    return {of_x && how[3] ? down * (x > 0).to(down.scalar_type()) : down, deep, across, {}, {}, {}, {}};
  }
};

at::Tensor recorded_separable(const at::Tensor& x, const at::Tensor& depthwise, const at::Tensor& pointwise, int64_t stride,
                              int64_t padding, int64_t dilation, bool rectified) {
  return Separable::apply(x, depthwise, pointwise, stride, padding, dilation, rectified);
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(supernet, library) {
  library.def("depthwise(Tensor x, Tensor weight, int stride, int padding, int dilation) -> Tensor");
  library.def(
      "depthwise_backward(Tensor up, Tensor x, Tensor weight, int stride, int padding, int dilation, bool of_x, bool of_weight) "
      "-> (Tensor, Tensor)");
  library.def(
      "separable(Tensor x, Tensor depthwise, Tensor pointwise, int stride, int padding, int dilation, bool rectified) -> Tensor");
  library.def(
      "separable_backward(Tensor up, Tensor x, Tensor depthwise, Tensor pointwise, int stride, int padding, int dilation, bool rectified, "
      "bool of_x, bool of_depthwise, bool of_pointwise) -> (Tensor, Tensor, Tensor)");
}

TORCH_LIBRARY_IMPL(supernet, CPU, library) {
  library.impl("depthwise", &depthwise);
  library.impl("depthwise_backward", &depthwise_backward);
  library.impl("separable", &separable);
  library.impl("separable_backward", &separable_backward);
}

TORCH_LIBRARY_IMPL(supernet, Autograd, library) {
  library.impl("depthwise", &recorded_depthwise);
  library.impl("separable", &recorded_separable);
}

}  // namespace supernet
