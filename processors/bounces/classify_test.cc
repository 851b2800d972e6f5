// Stub.
#include <gtest/gtest.h>
