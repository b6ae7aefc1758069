// Depthwise convolutions of one image that is channels_last: its sums over taps, and their gradients.
#pragma once

#include <ATen/core/Tensor.h>

#include <limits>

#include "lanes.h"

namespace supernet {

struct Size {
  int64_t height, width;
  int64_t pixels() const { return height * width; }
};

struct Convolution {
  int64_t images, channels;
  Size in, out;
  int64_t kernel, stride, padding, dilation;
};

template <typename T>
constexpr T NONE = -std::numeric_limits<T>::infinity();  // as a floor

// Raises where the kernels do not have it.
inline Convolution described(const at::Tensor& x, const at::Tensor& weight, int64_t stride, int64_t padding, int64_t dilation) {
  const int64_t kernel = weight.size(2);
  const bool known = (kernel == 3 || kernel == 5 || (kernel == 7 && dilation == 1)) && (stride == 1 || stride == 2) && (dilation == 1 || dilation == 2);
  TORCH_CHECK(known && padding == dilation * (kernel / 2) && weight.size(3) == kernel && weight.size(0) == x.size(1) && weight.size(1) == 1,
              "a depthwise convolution of 3x3, 5x5 or 7x7 that keeps sizes is needed");
  auto after = [&](int64_t n) { return (n + 2 * padding - dilation * (kernel - 1) - 1) / stride + 1; };
  return {x.size(0), x.size(1), {x.size(2), x.size(3)}, {after(x.size(2)), after(x.size(3))}, kernel, stride, padding, dilation};
}

// Of an image (pixels, channels) none of whose values counts as less than the floor: the sums over taps. weight: (channels, K * K).
template <typename T>
void forward(T* out, const T* image, T floor, const T* weight, const Convolution& c, Room<T>& room);

// The gradient for the image: nothing where it is not above the floor.
template <typename T>
void to_image(T* gradient, const T* up, const T* image, T floor, const T* weight, const Convolution& c, Room<T>& room);

// The gradient for the weights, added to total (channels, K * K), which `turned_round` brings into order.
template <typename T>
void to_weight(double* total, const T* up, const T* image, T floor, const Convolution& c, Room<T>& room);

// The totals of several threads, `size` apart, as the gradient for the weights (channels, K * K).
template <typename T>
void gathered(T* gradient, const double* totals, int64_t threads, int64_t size, const Convolution& c);

}  // namespace supernet
