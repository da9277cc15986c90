// The one test program: Boost.Test's main, linked with every *_test.cc under tests/.
#define BOOST_TEST_MODULE quintet
#include <boost/test/unit_test.hpp>
