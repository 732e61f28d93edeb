//! The exported C functions. Each answers what the [`Script`] says.
#![expect(
    unsafe_code,
    reason = "a C library: exported symbols, pointers of the caller's, and dladdr to find itself"
)]

use std::ffi::{CStr, OsStr, c_char, c_int, c_uint, c_ulonglong, c_void};
use std::path::PathBuf;
use std::sync::RwLock;
use std::time::Duration;

use crate::script::{Gpu, Script};

type Device = *mut c_void;
type Return = c_uint;

const SUCCESS: Return = 0;
const UNINITIALIZED: Return = 1;
const INVALID_ARGUMENT: Return = 2;
const INSUFFICIENT_SIZE: Return = 7;
/// `NVML_ERROR_UNKNOWN`, for a script that cannot be read.
const UNKNOWN: Return = 999;

const SCRIPT_VARIABLE: &str = "VLLM_BENCH_NVML_STUB";

static SCRIPT: RwLock<Option<&'static Script>> = RwLock::new(None);

#[repr(C)]
struct Utilization {
    gpu: c_uint,
    memory: c_uint,
}

#[repr(C)]
struct MemoryV2 {
    version: c_uint,
    total: c_ulonglong,
    reserved: c_ulonglong,
    free: c_ulonglong,
    used: c_ulonglong,
}

/// `nvmlProcessInfo_t` since version 2.
#[repr(C)]
struct ProcessInfo {
    pid: c_uint,
    memory: c_ulonglong,
    gpu_instance: c_uint,
    compute_instance: c_uint,
}

/// The id of an instance where the GPU is not divided.
const NO_INSTANCE: c_uint = c_uint::MAX;

#[repr(C)]
struct Memory {
    total: c_ulonglong,
    free: c_ulonglong,
    used: c_ulonglong,
}

#[unsafe(no_mangle)]
extern "C" fn nvmlInit_v2() -> Return {
    let script = match script_path() {
        None => Script::default(),
        Some(path) => {
            let text = std::fs::read_to_string(path).map_err(|e| e.to_string());
            match text.and_then(|text| Script::parse(&text)) {
                Ok(script) => script,
                Err(_) => return UNKNOWN,
            }
        }
    };
    let code = script.init();
    if code == SUCCESS {
        // Leaked: handles stay good through a second init, as the driver's do.
        *SCRIPT.write().unwrap_or_else(|e| e.into_inner()) = Some(Box::leak(Box::new(script)));
    }
    code
}

#[unsafe(no_mangle)]
extern "C" fn nvmlShutdown() -> Return {
    let had = SCRIPT.write().unwrap_or_else(|e| e.into_inner()).take();
    if had.is_some() { SUCCESS } else { UNINITIALIZED }
}

#[unsafe(no_mangle)]
// Unsafe to call: it writes through the caller's pointers, as NVML's own function of this name does.
unsafe extern "C" fn nvmlSystemGetDriverVersion(text: *mut c_char, length: c_uint) -> Return {
    // SAFETY: the caller's buffer of `length` bytes, as NVML asks for.
    answer(script().and_then(|_| unsafe { copy_text("999.99 (stub)", text, length) }))
}

#[unsafe(no_mangle)]
// Unsafe to call: it writes through the caller's pointers, as NVML's own function of this name does.
unsafe extern "C" fn nvmlDeviceGetCount_v2(count: *mut c_uint) -> Return {
    // SAFETY: the caller's `count`, valid for a write as NVML asks for.
    answer(script().and_then(|script| unsafe { put(count, script.gpus() as c_uint) }))
}

#[unsafe(no_mangle)]
// Unsafe to call: it writes through the caller's pointers, as NVML's own function of this name does.
unsafe extern "C" fn nvmlDeviceGetHandleByIndex_v2(index: c_uint, device: *mut Device) -> Return {
    let handle = || {
        let gpu = script()?.gpu(index as usize).ok_or(INVALID_ARGUMENT)?;
        gpu.text("handle")?;
        // SAFETY: the caller's `device`, valid for a write as NVML asks for.
        unsafe { put(device, std::ptr::without_provenance_mut(index as usize + 1)) }
    };
    answer(handle())
}

#[unsafe(no_mangle)]
// Unsafe to call: it writes through the caller's pointers, as NVML's own function of this name does.
unsafe extern "C" fn nvmlDeviceGetName(
    device: Device,
    text: *mut c_char,
    length: c_uint,
) -> Return {
    // SAFETY: the caller's buffer of `length` bytes, as NVML asks for.
    answer(gpu(device).and_then(|g| unsafe { copy_text(g.text("name")?, text, length) }))
}

#[unsafe(no_mangle)]
// Unsafe to call: it writes through the caller's pointers, as NVML's own function of this name does.
unsafe extern "C" fn nvmlDeviceGetUUID(
    device: Device,
    text: *mut c_char,
    length: c_uint,
) -> Return {
    // SAFETY: the caller's buffer of `length` bytes, as NVML asks for.
    answer(gpu(device).and_then(|g| unsafe { copy_text(g.text("uuid")?, text, length) }))
}

#[unsafe(no_mangle)]
// Unsafe to call: it writes through the caller's pointers, as NVML's own function of this name does.
unsafe extern "C" fn nvmlDeviceGetUtilizationRates(
    device: Device,
    out: *mut Utilization,
) -> Return {
    let read = || {
        let gpu = gpu(device)?;
        let (load, memory) = (gpu.number("utilization")?, gpu.number("memory_utilization")?);
        // SAFETY: the caller's struct, valid for a write as NVML asks for.
        unsafe { put(out, Utilization { gpu: load as c_uint, memory: memory as c_uint }) }
    };
    answer(read())
}

#[unsafe(no_mangle)]
// Unsafe to call: it writes through the caller's pointers, as NVML's own function of this name does.
unsafe extern "C" fn nvmlDeviceGetMemoryInfo(device: Device, out: *mut Memory) -> Return {
    let read = || {
        let gpu = gpu(device)?;
        let (used, total) = (gpu.number("memory_used")?, gpu.number("memory_total")?);
        // SAFETY: the caller's struct, valid for a write as NVML asks for.
        unsafe { put(out, Memory { total, free: total.saturating_sub(used), used }) }
    };
    answer(read())
}

#[unsafe(no_mangle)]
// Unsafe to call: it writes through the caller's pointers, as NVML's own function of this name does.
unsafe extern "C" fn nvmlDeviceGetMemoryInfo_v2(device: Device, out: *mut MemoryV2) -> Return {
    let read = || {
        let gpu = gpu(device)?;
        let (used, total) = (gpu.number("memory_used")?, gpu.number("memory_total")?);
        let version = (size_of::<MemoryV2>() | (2 << 24)) as c_uint;
        // SAFETY: the caller's struct, valid for reads and writes as NVML asks for.
        if out.is_null() || unsafe { (*out).version } != version {
            return Err(INVALID_ARGUMENT);
        }
        let free = total.saturating_sub(used);
        // SAFETY: as above.
        unsafe { put(out, MemoryV2 { version, total, reserved: 0, free, used }) }
    };
    answer(read())
}

#[unsafe(no_mangle)]
// Unsafe to call: it writes through the caller's pointers, as NVML's own function of this name does.
unsafe extern "C" fn nvmlDeviceGetTemperature(
    device: Device,
    _sensor: c_uint,
    out: *mut c_uint,
) -> Return {
    // SAFETY: the caller's number, valid for a write as NVML asks for.
    unsafe { number(device, "temperature", out) }
}

#[unsafe(no_mangle)]
// Unsafe to call: it writes through the caller's pointers, as NVML's own function of this name does.
unsafe extern "C" fn nvmlDeviceGetPowerUsage(device: Device, out: *mut c_uint) -> Return {
    // SAFETY: the caller's number, valid for a write as NVML asks for.
    unsafe { number(device, "power_mw", out) }
}

#[unsafe(no_mangle)]
// Unsafe to call: it writes through the caller's pointers, as NVML's own function of this name does.
unsafe extern "C" fn nvmlDeviceGetTotalEnergyConsumption(
    device: Device,
    out: *mut c_ulonglong,
) -> Return {
    // SAFETY: the caller's number, valid for a write as NVML asks for.
    answer(gpu(device).and_then(|g| unsafe { put(out, g.number("energy_mj")?) }))
}

#[unsafe(no_mangle)]
// Unsafe to call: it writes through the caller's pointers, as NVML's own function of this name does.
unsafe extern "C" fn nvmlDeviceGetClockInfo(
    device: Device,
    clock: c_uint,
    out: *mut c_uint,
) -> Return {
    // nvmlClockType_t: 1 is SM, 2 is memory.
    let key = match clock {
        1 => "sm_clock",
        2 => "memory_clock",
        _ => return INVALID_ARGUMENT,
    };
    // SAFETY: the caller's number, valid for a write as NVML asks for.
    unsafe { number(device, key, out) }
}

#[unsafe(no_mangle)]
// Unsafe to call: it writes through the caller's pointers, as NVML's own function of this name does.
unsafe extern "C" fn nvmlDeviceGetCurrentClocksThrottleReasons(
    device: Device,
    out: *mut c_ulonglong,
) -> Return {
    // SAFETY: the caller's number, valid for a write as NVML asks for.
    answer(gpu(device).and_then(|g| unsafe { put(out, g.number("throttle_reasons")?) }))
}

#[unsafe(no_mangle)]
// Unsafe to call: it writes through the caller's pointers, as NVML's own function of this name does.
unsafe extern "C" fn nvmlDeviceGetPcieThroughput(
    device: Device,
    counter: c_uint,
    out: *mut c_uint,
) -> Return {
    // nvmlPcieUtilCounter_t: 0 is transmitted, 1 is received.
    let key = match counter {
        0 => "pcie_tx",
        1 => "pcie_rx",
        _ => return INVALID_ARGUMENT,
    };
    if let Ok(delay) = gpu(device).and_then(|g| g.number("pcie_delay_ms")) {
        std::thread::sleep(Duration::from_millis(delay));
    }
    // SAFETY: the caller's number, valid for a write as NVML asks for.
    unsafe { number(device, key, out) }
}

#[unsafe(no_mangle)]
// Unsafe to call: it writes through the caller's pointers, as NVML's own function of this name does.
unsafe extern "C" fn nvmlDeviceGetComputeRunningProcesses_v3(
    device: Device,
    count: *mut c_uint,
    infos: *mut ProcessInfo,
) -> Return {
    // SAFETY: the caller's count, and room for as many as it says, as NVML asks for.
    unsafe { processes(device, "compute_processes", count, infos) }
}

#[unsafe(no_mangle)]
// Unsafe to call: it writes through the caller's pointers, as NVML's own function of this name does.
unsafe extern "C" fn nvmlDeviceGetGraphicsRunningProcesses_v3(
    device: Device,
    count: *mut c_uint,
    infos: *mut ProcessInfo,
) -> Return {
    // SAFETY: the caller's count, and room for as many as it says, as NVML asks for.
    unsafe { processes(device, "graphics_processes", count, infos) }
}

/// # Safety
/// `count` is null or valid for reads and writes, `infos` valid for writes of `count` processes.
unsafe fn processes(
    device: Device,
    key: &str,
    count: *mut c_uint,
    infos: *mut ProcessInfo,
) -> Return {
    let read = || {
        if count.is_null() {
            return Err(INVALID_ARGUMENT);
        }
        let gpu = gpu(device)?;
        let listed = gpu.peek(key)?;
        let pids = listed.split_whitespace().filter(|word| *word != "none");
        let pids = pids.map(str::parse).collect::<Result<Vec<c_uint>, _>>().map_err(|_| UNKNOWN)?;
        // SAFETY: not null, so valid by the caller's promise.
        let room = unsafe { count.replace(pids.len() as c_uint) };
        if pids.len() > room as usize {
            // Only how many there are was asked for: this answer is still to be given.
            return Err(INSUFFICIENT_SIZE);
        }
        gpu.text(key)?;
        for (i, pid) in pids.into_iter().enumerate() {
            let info = ProcessInfo {
                pid,
                memory: 0,
                gpu_instance: NO_INSTANCE,
                compute_instance: NO_INSTANCE,
            };
            // SAFETY: there is room for it.
            unsafe { put(infos.wrapping_add(i), info)? };
        }
        Ok(())
    };
    answer(read())
}

fn answer(result: Result<(), Return>) -> Return {
    result.err().unwrap_or(SUCCESS)
}

fn script() -> Result<&'static Script, Return> {
    SCRIPT.read().unwrap_or_else(|e| e.into_inner()).ok_or(UNINITIALIZED)
}

/// Handles are indices plus one, so that none is null.
fn gpu(device: Device) -> Result<&'static Gpu, Return> {
    let index = device.addr().checked_sub(1).ok_or(INVALID_ARGUMENT)?;
    script()?.gpu(index).ok_or(INVALID_ARGUMENT)
}

/// # Safety
/// `out` is null or valid for a write.
unsafe fn number(device: Device, key: &str, out: *mut c_uint) -> Return {
    // SAFETY: the caller's promise.
    answer(gpu(device).and_then(|g| unsafe { put(out, g.number(key)? as c_uint) }))
}

/// # Safety
/// `out` is null or valid for a write.
unsafe fn put<T>(out: *mut T, value: T) -> Result<(), Return> {
    if out.is_null() {
        return Err(INVALID_ARGUMENT);
    }
    // SAFETY: not null, so valid for a write by the caller's promise.
    unsafe { out.write(value) };
    Ok(())
}

/// # Safety
/// `out` is null or valid for writes of `length` bytes.
unsafe fn copy_text(text: &str, out: *mut c_char, length: c_uint) -> Result<(), Return> {
    if out.is_null() {
        return Err(INVALID_ARGUMENT);
    }
    if text.len() >= length as usize {
        return Err(INSUFFICIENT_SIZE);
    }
    // SAFETY: the text and its NUL fit, and the buffer is valid by the caller's promise.
    unsafe {
        out.copy_from_nonoverlapping(text.as_ptr().cast(), text.len());
        out.add(text.len()).write(0);
    }
    Ok(())
}

fn script_path() -> Option<PathBuf> {
    let beside = own_path().map(|mut path| {
        path.as_mut_os_string().push(".script");
        path
    });
    beside
        .filter(|path| path.is_file())
        .or_else(|| std::env::var_os(SCRIPT_VARIABLE).map(PathBuf::from))
}

/// The file that this library was loaded from.
#[cfg(unix)]
fn own_path() -> Option<PathBuf> {
    use std::os::unix::ffi::OsStrExt;

    #[repr(C)]
    struct DlInfo {
        file: *const c_char,
        base: *mut c_void,
        symbol: *const c_char,
        address: *mut c_void,
    }
    // SAFETY: dladdr of the C library, with its documented signature.
    unsafe extern "C" {
        fn dladdr(address: *const c_void, info: *mut DlInfo) -> c_int;
    }
    let null: *mut c_void = std::ptr::null_mut();
    let mut info = DlInfo { file: null.cast(), base: null, symbol: null.cast(), address: null };
    // SAFETY: the address of a static of this library, and a struct to fill.
    let found = unsafe { dladdr((&raw const SCRIPT).cast(), &raw mut info) };
    if found == 0 || info.file.is_null() {
        return None;
    }
    // SAFETY: dladdr gave a NUL-terminated name that lives as long as the library.
    let file = unsafe { CStr::from_ptr(info.file) };
    Some(PathBuf::from(OsStr::from_bytes(file.to_bytes())))
}

/// Elsewhere only the environment variable serves.
#[cfg(not(unix))]
fn own_path() -> Option<PathBuf> {
    None
}
