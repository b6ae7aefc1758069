// Depthwise convolutions of one image that is channels_last: its sums over taps, and their gradients.
#pragma once

#include <cstdint>
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

// Of an image (pixels, channels) none of whose values counts as less than the floor: the sums over taps. weight: (channels, K * K).
template <typename T>
void forward(T* out, const T* image, T floor, const T* weight, const Convolution& c, Room<T>& room);

// The gradient for the image: nothing where it is not above the floor.
template <typename T>
void to_image(T* gradient, const T* up, const T* image, T floor, const T* weight, const Convolution& c, Room<T>& room);

// The gradient for the weights, added to total (channels, K * K), which `gathered` brings into order.
template <typename T>
void to_weight(double* total, const T* up, const T* image, T floor, const Convolution& c, Room<T>& room);

// The totals of several threads, `size` apart, as the gradient for the weights (channels, K * K).
template <typename T>
void gathered(T* gradient, const double* totals, int64_t threads, int64_t size, const Convolution& c);

}  // namespace supernet
