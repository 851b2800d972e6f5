# Functions and settings that every CMakeLists.txt of the tree uses.
#
#   maily_library(NAME SRCS … DEPS … [PCH std|protobuf|none])   a module: target maily_NAME, alias maily::NAME
#   maily_test(NAME SRCS … DEPS …)                               a GoogleTest program, run by ctest
#   maily_program(NAME SRCS … DEPS …)                            an executable, with jemalloc as its allocator

set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

find_program(MAILY_CCACHE ccache)
if(MAILY_CCACHE)
  # Precompiled headers are safe to cache only with these declared sloppy.
  set(ENV_CCACHE "${CMAKE_COMMAND}" -E env
      "CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime"
      "CCACHE_BASEDIR=${CMAKE_SOURCE_DIR}" "CCACHE_NOHASHDIR=1" "${MAILY_CCACHE}")
  set(CMAKE_C_COMPILER_LAUNCHER ${ENV_CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${ENV_CCACHE})
endif()
find_program(MAILY_MOLD mold)
if(MAILY_MOLD)
  add_link_options(-fuse-ld=mold)
endif()

if(MAILY_SANITIZE)
  add_compile_options(-fsanitize=${MAILY_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${MAILY_SANITIZE})
endif()

# Warnings for our own code; vendor and generated code is SYSTEM.
add_library(maily_warnings INTERFACE)
target_compile_options(maily_warnings INTERFACE -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Werror
                                                -fpch-preprocess -fdiagnostics-color=always)
# g++ 12 reports these falsely under -O2 or sanitizers (GCC bugs 105329, 105562, 107852).
target_compile_options(maily_warnings INTERFACE -Wno-restrict -Wno-maybe-uninitialized -Wno-stringop-overflow
                                                -Wno-stringop-overread -Wno-array-bounds)

find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(Protobuf REQUIRED)
find_package(RocksDB CONFIG REQUIRED)
find_package(SQLite3 REQUIRED)
find_package(nlohmann_json CONFIG REQUIRED)
find_package(fmt CONFIG REQUIRED)
find_package(spdlog CONFIG REQUIRED)
find_package(yaml-cpp CONFIG REQUIRED)
find_package(prometheus-cpp CONFIG REQUIRED)
find_package(CLI11 CONFIG REQUIRED)
find_package(GTest CONFIG REQUIRED)
find_package(Boost 1.81 REQUIRED)
pkg_check_modules(ZSTD REQUIRED IMPORTED_TARGET libzstd)
pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash)
pkg_check_modules(ICU REQUIRED IMPORTED_TARGET icu-uc icu-i18n)
pkg_check_modules(LIBPQ REQUIRED IMPORTED_TARGET libpq)
find_library(MAILY_JEMALLOC libjemalloc_pic.a REQUIRED)
pkg_check_modules(RDKAFKA REQUIRED IMPORTED_TARGET rdkafka)
pkg_check_modules(CARES REQUIRED IMPORTED_TARGET libcares)
pkg_check_modules(CURL REQUIRED IMPORTED_TARGET libcurl)
pkg_check_modules(GMIME REQUIRED IMPORTED_TARGET gmime-3.0)
set_target_properties(PkgConfig::GMIME PROPERTIES INTERFACE_COMPILE_OPTIONS "")  # a macro for 32-bit systems, which precompiled headers would not have

# Precompiled headers, shared by every target that reuses them.
file(WRITE ${CMAKE_BINARY_DIR}/pch/pch.cc "// Carries the shared precompiled headers.\n")
function(maily_pch NAME)
  cmake_parse_arguments(A "" "" "HEADERS;LIBS" ${ARGN})
  add_library(maily_pch_${NAME} STATIC ${CMAKE_BINARY_DIR}/pch/pch.cc)
  target_link_libraries(maily_pch_${NAME} PRIVATE maily_warnings ${A_LIBS})
  target_include_directories(maily_pch_${NAME} PRIVATE ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR}/generated)
  target_precompile_headers(maily_pch_${NAME} PRIVATE ${A_HEADERS})
endfunction()
set(MAILY_STD_HEADERS <algorithm> <array> <atomic> <chrono> <cstdint> <cstring> <deque> <functional> <map> <memory>
    <mutex> <optional> <span> <string> <string_view> <tuple> <unordered_map> <utility> <variant> <vector> <fmt/format.h>)
maily_pch(std HEADERS ${MAILY_STD_HEADERS} LIBS fmt::fmt Threads::Threads)
maily_pch(gtest HEADERS ${MAILY_STD_HEADERS} <gtest/gtest.h> LIBS fmt::fmt Threads::Threads GTest::gtest)

function(maily_target NAME)
  target_link_libraries(${NAME} PRIVATE maily_warnings)
  target_include_directories(${NAME} PUBLIC ${CMAKE_SOURCE_DIR})
  target_include_directories(${NAME} SYSTEM PUBLIC ${CMAKE_BINARY_DIR}/generated)
endfunction()

function(maily_library NAME)
  cmake_parse_arguments(A "" "PCH" "SRCS;DEPS;PRIVATE" ${ARGN})
  list(TRANSFORM A_DEPS REPLACE "^maily::" "maily_")
  list(TRANSFORM A_PRIVATE REPLACE "^maily::" "maily_")
  add_library(maily_${NAME} STATIC ${A_SRCS})
  add_library(maily::${NAME} ALIAS maily_${NAME})
  maily_target(maily_${NAME})
  target_link_libraries(maily_${NAME} PUBLIC fmt::fmt Threads::Threads ${A_DEPS} PRIVATE ${A_PRIVATE})
  if(NOT A_PCH STREQUAL "none")
    target_precompile_headers(maily_${NAME} REUSE_FROM maily_pch_std)
  endif()
endfunction()

function(maily_header_library NAME)
  cmake_parse_arguments(A "" "" "DEPS" ${ARGN})
  list(TRANSFORM A_DEPS REPLACE "^maily::" "maily_")
  add_library(maily_${NAME} INTERFACE)
  add_library(maily::${NAME} ALIAS maily_${NAME})
  target_include_directories(maily_${NAME} INTERFACE ${CMAKE_SOURCE_DIR})
  target_link_libraries(maily_${NAME} INTERFACE fmt::fmt Threads::Threads ${A_DEPS})
endfunction()

# jemalloc, with its calls of the clock led past libraries that fake it: streams/base/allocator_system.cc says why.
set(MAILY_ALLOCATOR ${CMAKE_BINARY_DIR}/libmaily_jemalloc.a)
add_custom_command(OUTPUT ${MAILY_ALLOCATOR}
  COMMAND ${CMAKE_OBJCOPY} --redefine-sym clock_gettime=maily_allocator_clock_gettime --redefine-sym pthread_cond_init=maily_allocator_cond_init
          ${MAILY_JEMALLOC} ${MAILY_ALLOCATOR}
  DEPENDS ${MAILY_JEMALLOC} VERBATIM)
add_custom_target(maily_allocator_archive DEPENDS ${MAILY_ALLOCATOR})
add_library(maily_allocator STATIC ${CMAKE_SOURCE_DIR}/streams/base/allocator_system.cc)
add_dependencies(maily_allocator maily_allocator_archive)
target_link_libraries(maily_allocator PUBLIC -Wl,--whole-archive ${MAILY_ALLOCATOR} -Wl,--no-whole-archive Threads::Threads ${CMAKE_DL_LIBS} m)

function(maily_program NAME)
  cmake_parse_arguments(A "" "" "SRCS;DEPS" ${ARGN})
  list(TRANSFORM A_DEPS REPLACE "^maily::" "maily_")
  add_executable(${NAME} ${A_SRCS})
  maily_target(${NAME})
  target_link_libraries(${NAME} PRIVATE fmt::fmt Threads::Threads ${A_DEPS})
  if(NOT MAILY_SANITIZE)  # sanitizers bring an allocator of their own
    target_link_libraries(${NAME} PRIVATE maily_allocator)
  endif()
  target_precompile_headers(${NAME} REUSE_FROM maily_pch_std)
endfunction()

function(maily_test NAME)
  cmake_parse_arguments(A "" "TIMEOUT" "SRCS;DEPS;ARGS" ${ARGN})
  list(TRANSFORM A_DEPS REPLACE "^maily::" "maily_")
  if(NOT A_TIMEOUT)
    set(A_TIMEOUT 300)
  endif()
  add_executable(${NAME} ${A_SRCS})
  maily_target(${NAME})
  target_link_libraries(${NAME} PRIVATE fmt::fmt Threads::Threads GTest::gtest GTest::gtest_main ${A_DEPS})
  target_precompile_headers(${NAME} REUSE_FROM maily_pch_gtest)
  add_test(NAME ${NAME} COMMAND ${NAME} ${A_ARGS})
  set_tests_properties(${NAME} PROPERTIES TIMEOUT ${A_TIMEOUT}
    ENVIRONMENT "MAILY_SOURCE_DIR=${CMAKE_SOURCE_DIR};MAILY_BINARY_DIR=${CMAKE_BINARY_DIR}")
endfunction()

# maily_with_postgres(NAME): the test NAME once more, as NAME.postgres, with its databases on a PostgreSQL server. ctest starts one for all
# of them before and stops it after; where PostgreSQL is not installed the tests run without, and say that they skip.
file(GLOB MAILY_INITDB /usr/lib/postgresql/*/bin/initdb)
string(MD5 MAILY_POSTGRES_PLACE ${CMAKE_BINARY_DIR})
string(SUBSTRING ${MAILY_POSTGRES_PLACE} 0 12 MAILY_POSTGRES_PLACE)
set(MAILY_POSTGRES_DIR /tmp/maily-postgres-${MAILY_POSTGRES_PLACE})
if(MAILY_INITDB)
  set(MAILY_POSTGRES_URL "MAILY_POSTGRES=postgresql:///maily?host=${MAILY_POSTGRES_DIR}&user=maily")
  add_test(NAME postgres_start COMMAND ${CMAKE_SOURCE_DIR}/scripts/postgres.sh start --dir ${MAILY_POSTGRES_DIR})
  add_test(NAME postgres_stop COMMAND ${CMAKE_SOURCE_DIR}/scripts/postgres.sh stop --dir ${MAILY_POSTGRES_DIR})
  set_tests_properties(postgres_start PROPERTIES FIXTURES_SETUP postgres TIMEOUT 120)
  set_tests_properties(postgres_stop PROPERTIES FIXTURES_CLEANUP postgres TIMEOUT 120)
else()
  message(STATUS "PostgreSQL is not installed: its tests will skip (scripts/setup.sh --postgres)")
endif()
function(maily_with_postgres NAME)
  add_test(NAME ${NAME}.postgres COMMAND ${NAME})
  set_tests_properties(${NAME}.postgres PROPERTIES TIMEOUT 300 FIXTURES_REQUIRED "$<$<BOOL:${MAILY_INITDB}>:postgres>"
    ENVIRONMENT "MAILY_SOURCE_DIR=${CMAKE_SOURCE_DIR};MAILY_BINARY_DIR=${CMAKE_BINARY_DIR};MAILY_SQL=postgres;${MAILY_POSTGRES_URL}")
endfunction()
