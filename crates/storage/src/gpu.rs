//! The columns of `gpu/*.parquet` and the way back to a [`GpuSample`].

use arrow::array::{Float32Array, Int64Array, StringArray, UInt32Array, UInt64Array};
use vllm_bench_record::columns::gpu as c;
use vllm_bench_record::{GpuSample, GpuSource, Timestamp};

use crate::error::StorageError;
use crate::rows::{Cells, Row, instant_ns};
use crate::schema::{Column, Get, Layout};
use crate::table::Table;

impl Row for GpuSample {
    const TABLE: Table = Table::Gpu;

    fn columns() -> Vec<Column<Self>> {
        use Layout::{Delta, Dictionary};
        vec![
            Column::required(c::AT_NS, Delta, Get::I64(|s| Some(instant_ns(s.at)))),
            Column::required(c::GPU_INDEX, Delta, Get::U32(|s, _| Some(s.gpu_index))),
            Column::nullable(c::UUID, Dictionary, Get::Text(|s, _| s.uuid.as_deref())),
            Column::nullable(c::NAME, Dictionary, Get::Text(|s, _| s.name.as_deref())),
            Column::required(c::SOURCE, Dictionary, Get::Text(|s, _| Some(s.source.as_str()))),
            Column::nullable(c::UTILIZATION_PCT, Dictionary, Get::F32(|s| s.utilization_pct)),
            Column::nullable(
                c::MEMORY_UTILIZATION_PCT,
                Dictionary,
                Get::F32(|s| s.memory_utilization_pct),
            ),
            Column::nullable(c::MEMORY_USED_BYTES, Delta, Get::U64(|s| s.memory_used_bytes)),
            Column::nullable(c::MEMORY_TOTAL_BYTES, Delta, Get::U64(|s| s.memory_total_bytes)),
            Column::nullable(c::TEMPERATURE_C, Dictionary, Get::F32(|s| s.temperature_c)),
            Column::nullable(c::POWER_MW, Delta, Get::U64(|s| s.power_mw)),
            Column::nullable(c::ENERGY_MJ, Delta, Get::U64(|s| s.energy_mj)),
            Column::nullable(c::SM_CLOCK_MHZ, Delta, Get::U32(|s, _| s.sm_clock_mhz)),
            Column::nullable(c::MEMORY_CLOCK_MHZ, Delta, Get::U32(|s, _| s.memory_clock_mhz)),
            Column::nullable(c::THROTTLE_REASONS, Delta, Get::U64(|s| s.throttle_reasons)),
            Column::nullable(c::PCIE_TX_KB_S, Delta, Get::U32(|s, _| s.pcie_tx_kb_s)),
            Column::nullable(c::PCIE_RX_KB_S, Delta, Get::U32(|s, _| s.pcie_rx_kb_s)),
            Column::nullable(c::PROCESSES, Delta, Get::U32(|s, _| s.processes)),
        ]
    }

    fn bytes(&self) -> usize {
        let text = |t: &Option<String>| t.as_ref().map_or(0, String::len);
        size_of::<Self>() + text(&self.uuid) + text(&self.name)
    }

    fn read(cells: &Cells<'_>, out: &mut Vec<Self>) -> Result<(), StorageError> {
        let text = |name| cells.column::<StringArray>(name);
        let count = |name| cells.column::<UInt32Array>(name);
        let large = |name| cells.column::<UInt64Array>(name);
        let float = |name| cells.column::<Float32Array>(name);

        let (at, index) = (cells.column::<Int64Array>(c::AT_NS)?, count(c::GPU_INDEX)?);
        let (uuid, name, source) = (text(c::UUID)?, text(c::NAME)?, text(c::SOURCE)?);
        let (util, memory_util) = (float(c::UTILIZATION_PCT)?, float(c::MEMORY_UTILIZATION_PCT)?);
        let (used, total) = (large(c::MEMORY_USED_BYTES)?, large(c::MEMORY_TOTAL_BYTES)?);
        let temperature = float(c::TEMPERATURE_C)?;
        let (power, energy) = (large(c::POWER_MW)?, large(c::ENERGY_MJ)?);
        let (sm, memory) = (count(c::SM_CLOCK_MHZ)?, count(c::MEMORY_CLOCK_MHZ)?);
        let throttle = large(c::THROTTLE_REASONS)?;
        let (tx, rx) = (count(c::PCIE_TX_KB_S)?, count(c::PCIE_RX_KB_S)?);
        let processes = cells.added::<UInt32Array>(c::PROCESSES)?;

        for i in 0..cells.len() {
            let at_ns = cells.nanos(c::AT_NS, at, i)?;
            out.push(Self {
                at: at_ns
                    .map(Timestamp::from_nanos)
                    .ok_or_else(|| cells.bad(c::AT_NS, i, "is null"))?,
                gpu_index: cells.required(c::GPU_INDEX, index, i)?,
                uuid: cells.optional_text(uuid, i),
                name: cells.optional_text(name, i),
                source: cells.word(c::SOURCE, source, i, GpuSource::from_word)?,
                utilization_pct: cells.value(util, i),
                memory_utilization_pct: cells.value(memory_util, i),
                memory_used_bytes: cells.value(used, i),
                memory_total_bytes: cells.value(total, i),
                temperature_c: cells.value(temperature, i),
                power_mw: cells.value(power, i),
                energy_mj: cells.value(energy, i),
                sm_clock_mhz: cells.value(sm, i),
                memory_clock_mhz: cells.value(memory, i),
                throttle_reasons: cells.value(throttle, i),
                pcie_tx_kb_s: cells.value(tx, i),
                pcie_rx_kb_s: cells.value(rx, i),
                processes: cells.added_value(processes, i),
            });
        }
        Ok(())
    }
}
