// A CUDA device without a GPU, for builds of torch with CUDA and without: its memory is the host's, its
// kernels are the CPU's. What a build with CUDA has registered for a GPU is replaced.
// Every operator without a kernel of its own runs `fallback`: CUDA tensors are seen as CPU tensors on the
// same memory, and results become CUDA tensors. Tensors of both devices in one operator are refused, as on
// a GPU. One device, one stream; nothing is asynchronous.
#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/EmptyTensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <ATen/native/Resize.h>
#include <ATen/ops/_reshape_alias_native.h>
#include <ATen/ops/as_strided_native.h>
#include <ATen/ops/set_native.h>
#include <ATen/ops/unfold_native.h>
#include <ATen/ops/view_native.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/library.h>

#include <mutex>
#include <set>

namespace {

using at::Tensor;
using c10::Device;
using c10::DeviceType;
using c10::IValue;

Device only() { return Device(DeviceType::CUDA, 0); }

// ---- device, streams and events -----------------------------------------------------------------

struct Guard : public c10::impl::NoOpDeviceGuardImpl<DeviceType::CUDA> {
  static c10::Stream stream() { return c10::Stream(c10::Stream::DEFAULT, only()); }
  Device exchangeDevice(Device) const override { return only(); }
  Device getDevice() const override { return only(); }
  c10::DeviceIndex deviceCount() const noexcept override { return 1; }
  c10::Stream getStream(Device) const noexcept override { return stream(); }
  c10::Stream getDefaultStream(Device) const override { return stream(); }
  c10::Stream getNewStream(Device, int = 0) const override { return stream(); }
  c10::Stream exchangeStream(c10::Stream) const noexcept override { return stream(); }
  void record(void**, const c10::Stream&, const c10::DeviceIndex, const c10::EventFlag) const override {}
  void block(void*, const c10::Stream&) const override {}
  bool queryEvent(void*) const override { return true; }
  void destroyEvent(void*, const c10::DeviceIndex) const noexcept override {}
  bool queryStream(const c10::Stream&) const override { return true; }
  void synchronizeStream(const c10::Stream&) const override {}
};
c10::impl::DeviceGuardImplRegistrar registered_guard(DeviceType::CUDA, new Guard());

// ---- memory -------------------------------------------------------------------------------------

void release(void* holder) { delete static_cast<c10::DataPtr*>(holder); }

struct DeviceAllocator : public c10::Allocator {
  c10::DataPtr allocate(size_t bytes) override {
    auto* memory = new c10::DataPtr(c10::GetCPUAllocator()->allocate(bytes));
    return {memory->get(), memory, &release, only()};
  }
  void copy_data(void* to, const void* from, size_t bytes) const override { std::memcpy(to, from, bytes); }
};
DeviceAllocator device_memory;
int registered_memory = (c10::SetAllocator(DeviceType::CUDA, &device_memory, 255), 0);

struct PinnedAllocator : public c10::Allocator {
  static std::mutex lock;
  static std::set<const void*> known;
  static void forget(void* holder) {
    auto* memory = static_cast<c10::DataPtr*>(holder);
    { std::lock_guard<std::mutex> held(lock); known.erase(memory->get()); }
    delete memory;
  }
  c10::DataPtr allocate(size_t bytes) override {
    auto* memory = new c10::DataPtr(c10::GetCPUAllocator()->allocate(std::max<size_t>(bytes, 1)));
    std::lock_guard<std::mutex> held(lock);
    known.insert(memory->get());
    return {memory->get(), memory, &forget, Device(DeviceType::CPU)};
  }
  void copy_data(void* to, const void* from, size_t bytes) const override { std::memcpy(to, from, bytes); }
};
std::mutex PinnedAllocator::lock;
std::set<const void*> PinnedAllocator::known;
PinnedAllocator pinned_memory;

// ---- what torch asks about CUDA -----------------------------------------------------------------

struct Hooks : public at::CUDAHooksInterface {
  explicit Hooks(at::CUDAHooksArgs) {}
  void init() const override {}
  bool hasCUDA() const override { return true; }
  bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  int getNumGPUs() const override { return 1; }
  c10::DeviceIndex deviceCount() const override { return 1; }
  c10::DeviceIndex current_device() const override { return 0; }
  c10::DeviceIndex getCurrentDevice() const override { return 0; }
  at::Allocator* getPinnedMemoryAllocator() const override { return &pinned_memory; }
  bool isPinnedPtr(const void* data) const override {
    std::lock_guard<std::mutex> held(PinnedAllocator::lock);
    return PinnedAllocator::known.count(data) > 0;
  }
  const at::Generator& getDefaultGenerator(c10::DeviceIndex) const override {
    return at::detail::getDefaultCPUGenerator();
  }
  at::Generator getNewGenerator(c10::DeviceIndex) const override { return at::detail::createCPUGenerator(); }
};
using at::CUDAHooksRegistry;
using at::RegistererCUDAHooksRegistry;
C10_REGISTER_TYPED_CLASS_WITH_PRIORITY(CUDAHooksRegistry, "CUDAHooks", c10::REGISTRY_PREFERRED, Hooks);

// ---- the same memory, seen from both devices ----------------------------------------------------

void drop(void* tensor) { delete static_cast<Tensor*>(tensor); }

Tensor seen_from(const Tensor& tensor, Device device, c10::DispatchKey key, c10::Allocator* allocator) {
  const auto& storage = tensor.storage();
  c10::DataPtr data(const_cast<void*>(storage.data()), new Tensor(tensor), &drop, device);
  c10::Storage shared(c10::Storage::use_byte_size_t(), storage.nbytes(), std::move(data), allocator, true);
  Tensor seen = at::detail::make_tensor<c10::TensorImpl>(
      std::move(shared), c10::DispatchKeySet(key), tensor.dtype());
  auto* impl = seen.unsafeGetTensorImpl();
  impl->set_storage_offset(tensor.storage_offset());
  impl->set_sizes_and_strides(tensor.sizes(), tensor.strides());
  if (tensor.is_conj()) seen._set_conj(true);
  if (tensor.is_neg()) seen._set_neg(true);
  return seen;
}
Tensor on_host(const Tensor& t) { return seen_from(t, Device(DeviceType::CPU), c10::DispatchKey::CPU, c10::GetCPUAllocator()); }
Tensor on_device(const Tensor& t) { return seen_from(t, only(), c10::DispatchKey::CUDA, &device_memory); }

struct Call {
  const c10::OperatorHandle& op;
  std::vector<std::pair<Tensor, Tensor>> moved;  // each CUDA argument, and what stands for it
  std::vector<std::pair<Tensor, bool>> foreign;  // each host argument, and whether it is written
  bool to_device = false;

  Tensor argument(const Tensor& tensor, bool written = false) {
    if (!tensor.defined()) return tensor;
    if (!tensor.is_cuda()) {
      foreign.emplace_back(tensor, written);
      return tensor;
    }
    for (auto& [device, host] : moved)
      if (device.is_same(tensor)) return host;
    moved.emplace_back(tensor, on_host(tensor));
    return moved.back().second;
  }
  IValue argument(const IValue& value, bool written) {
    if (value.isTensor()) return argument(value.toTensor(), written);
    if (value.isTensorList()) {
      c10::List<Tensor> list;
      for (const Tensor& each : value.toTensorVector()) list.push_back(argument(each));
      return list;
    }
    if (value.isOptionalTensorList()) {  // indices, which torch moves to what they index
      c10::List<std::optional<Tensor>> list;
      for (const auto& each : value.toOptionalTensorVector())
        list.push_back(each && each->is_cuda() ? argument(*each) : each);
      return list;
    }
    if (value.isDevice() && value.toDevice().is_cuda()) {
      to_device = true;
      return Device(DeviceType::CPU);
    }
    return value;
  }
  void refuse_mixed() const {
    if (moved.empty()) return;
    for (const auto& [tensor, written] : foreign)  // a number may be on the host if it is only read
      TORCH_CHECK(tensor.dim() == 0 && !written,
          "Expected all tensors to be on the same device, but found at least two devices, cuda:0 and cpu! (",
          op.operator_name().name, ")");
  }
  void write_back() {  // outputs that the operator resized
    for (auto& [device, host] : moved) {
      if (host.storage().data() == device.storage().data() && host.sizes() == device.sizes() &&
          host.strides() == device.strides()) continue;
      auto* impl = device.unsafeGetTensorImpl();
      if (host.storage().data() != device.storage().data()) impl->set_storage_keep_dtype(on_device(host).storage());
      impl->set_storage_offset(host.storage_offset());
      impl->set_sizes_and_strides(host.sizes(), host.strides());
    }
  }
  Tensor result(const Tensor& tensor) {
    if (!tensor.defined() || tensor.is_cuda()) return tensor;
    for (auto& [device, host] : moved)
      if (host.is_same(tensor)) return device;
    return on_device(tensor);
  }
  IValue result(const IValue& value) {
    if (value.isTensor()) return result(value.toTensor());
    if (value.isTensorList()) {
      c10::List<Tensor> list;
      for (const Tensor& each : value.toTensorVector()) list.push_back(result(each));
      return list;
    }
    return value;
  }
};

void fallback(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  at::AutoDispatchBelowAutograd below;
  c10::impl::ExcludeDispatchKeyGuard no_python(
      c10::DispatchKeySet({c10::DispatchKey::Python, c10::DispatchKey::PythonTLSSnapshot}));
  Call call{op};
  const auto& schema = op.schema();
  auto arguments = torch::jit::last(*stack, schema.arguments().size());
  const size_t begin = stack->size() - arguments.size();
  for (size_t i = 0; i < schema.arguments().size(); ++i) {
    IValue& value = (*stack)[begin + i];
    const auto& argument = schema.arguments()[i];
    const bool written = argument.alias_info() && argument.alias_info()->isWrite();
    value = argument.name() == "pin_memory" ? IValue() : call.argument(value, written);
  }
  call.refuse_mixed();
  op.callBoxed(stack);
  call.write_back();
  if (call.moved.empty() && !call.to_device) return;
  for (size_t i = stack->size() - schema.returns().size(); i < stack->size(); ++i)
    (*stack)[i] = call.result((*stack)[i]);
}

// ---- operators with a meaning of their own on a device ------------------------------------------

Tensor empty(c10::IntArrayRef size, std::optional<at::ScalarType> dtype, std::optional<at::Layout>,
             std::optional<Device>, std::optional<bool>, std::optional<at::MemoryFormat> format) {
  return at::detail::empty_generic(size, &device_memory, c10::DispatchKeySet(c10::DispatchKey::CUDA),
                                   c10::dtype_or_default(dtype), format);
}
Tensor empty_strided(c10::IntArrayRef size, c10::IntArrayRef stride, std::optional<at::ScalarType> dtype,
                     std::optional<at::Layout>, std::optional<Device>, std::optional<bool>) {
  return at::detail::empty_strided_generic(size, stride, &device_memory,
      c10::DispatchKeySet(c10::DispatchKey::CUDA), c10::dtype_or_default(dtype));
}
Tensor& copy(Tensor& self, const Tensor& source, bool) {
  at::AutoDispatchBelowAutograd below;
  Tensor to = self.is_cuda() ? on_host(self) : self;
  to.copy_(source.is_cuda() ? on_host(source) : source);
  return self;
}
void record_stream(Tensor&, c10::Stream) {}

struct Silent : public c10::WarningHandler {
  void process(const c10::Warning&) override {}
};

// `fallback` in place of each operator's kernel for a GPU; torch warns of each replacement.
struct TakeOver {
  Silent silent;
  std::vector<torch::Library> areas;
  TakeOver() {
    c10::WarningUtils::WarningHandlerGuard guard(&silent);
    for (const auto& name : c10::Dispatcher::singleton().getAllOpNamesForDispatchKey(c10::DispatchKey::CUDA)) {
      const std::string area(*name.getNamespace());
      areas.emplace_back(torch::Library::IMPL, area, c10::DispatchKey::CUDA, __FILE__, __LINE__);
      const std::string overload = name.overload_name.empty() ? "" : "." + name.overload_name;
      areas.back().impl((name.name + overload).c_str(), torch::CppFunction::makeFromBoxedFunction<&fallback>());
    }
  }
} taken_over;

TORCH_LIBRARY_IMPL(_, CUDA, m) { m.fallback(torch::CppFunction::makeFromBoxedFunction<&fallback>()); }

TORCH_LIBRARY_IMPL(aten, CUDA, m) {
  m.impl("empty.memory_format", &empty);
  m.impl("empty_strided", &empty_strided);
  m.impl("copy_", &copy);
  m.impl("record_stream", &record_stream);
  m.impl("as_strided", &at::native::as_strided_tensorimpl);
  m.impl("view", &at::native::view);
  m.impl("_reshape_alias", &at::native::_reshape_alias);
  m.impl("unfold", &at::native::unfold);
  m.impl("set_.source_Storage_storage_offset", &at::native::set_storage_cpu_);
}

}  // namespace
