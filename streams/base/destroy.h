// A deleter for std::unique_ptr over objects of C libraries, which a function of theirs frees.
#pragma once

namespace maily {

// std::unique_ptr<BIO, Destroy<BIO_free>>
template <auto destroy>
struct Destroy {
  template <class T>
  void operator()(T* object) const {
    destroy(object);
  }
};

}  // namespace maily
