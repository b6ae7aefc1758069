// Vectors of neighbouring channels, which the compiler turns into what the processor has.
#pragma once

#include <cstdint>
#include <type_traits>
#include <vector>

namespace supernet {

template <typename T, int V>
struct Pack {
  typedef T type __attribute__((vector_size(V * sizeof(T)), aligned(sizeof(T)), may_alias));
};

template <typename T, int V>
using Lanes = typename Pack<T, V>::type;

template <typename T, int V>
inline Lanes<T, V> load(const T* from) {
  return *reinterpret_cast<const Lanes<T, V>*>(from);
}

template <typename T, int V>
inline void store(T* to, Lanes<T, V> value) {
  *reinterpret_cast<Lanes<T, V>*>(to) = value;
}

template <int N>
using Int = std::integral_constant<int, N>;

// What the processor has: registers of vectors, and bytes of each. A vector that is wider than a register is kept in memory.
#if defined(__AVX512F__)
constexpr int REGISTERS = 32, BYTES = 64;
#elif defined(__AVX__)
constexpr int REGISTERS = 16, BYTES = 32;
#elif defined(__aarch64__)
constexpr int REGISTERS = 32, BYTES = 16;
#else
constexpr int REGISTERS = 16, BYTES = 16;
#endif

template <typename T>
constexpr int WIDEST = BYTES / sizeof(T);  // channels of a vector

// Calls work(V, channel) for blocks of channels, each as wide as there are channels left.
template <int V, typename F>
void in_blocks(int64_t channels, int64_t begin, const F& work) {
  for (; begin + V <= channels; begin += V) work(Int<V>(), begin);
  if constexpr (V > 1) in_blocks<(V > 4 ? 4 : 1)>(channels, begin, work);
}

// Memory of one thread, from the beginning of a cache line.
template <typename T>
class Room {
 public:
  T* of(int64_t size) {
    if (size + 64 > static_cast<int64_t>(held_.size())) held_.resize(size + 64);
    return reinterpret_cast<T*>((reinterpret_cast<uintptr_t>(held_.data()) + 63) / 64 * 64);
  }

 private:
  std::vector<T> held_;
};

}  // namespace supernet
