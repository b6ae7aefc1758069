// Depthwise convolutions of channels_last images on the CPU, forward and both gradients, with the padding inside.
#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/convolution_backward.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <algorithm>
#include <tuple>
#include <vector>

#include "taps.h"

namespace supernet {
namespace {

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
