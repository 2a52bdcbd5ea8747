/** What is quoted: companies that do not exist, and whatever other symbol the settings name. */

export interface Instrument {
  readonly symbol: string;
  readonly name: string;
  /** In hundredths, as every price here. */
  readonly openPrice: number;
}

export const catalogue: readonly Instrument[] = [
  { symbol: "ANCH", name: "Anchor Steel", openPrice: 184_20 },
  { symbol: "BUOY", name: "Buoy Networks", openPrice: 62_75 },
  { symbol: "CURR", name: "Current Energy", openPrice: 118_40 },
  { symbol: "GALE", name: "Gale Wind", openPrice: 141_30 },
  { symbol: "HULL", name: "Hull Logistics", openPrice: 233_10 },
  { symbol: "KEEL", name: "Keel Shipping", openPrice: 305_60 },
  { symbol: "KELP", name: "Kelp Foods", openPrice: 57_85 },
  { symbol: "MAST", name: "Mast Robotics", openPrice: 412_50 },
  { symbol: "REEF", name: "Reef Semiconductor", openPrice: 876_40 },
  { symbol: "SAIL", name: "Sail Aerospace", openPrice: 149_95 },
  { symbol: "TIDE", name: "Tidewater Power", openPrice: 93_15 },
  { symbol: "WAKE", name: "Wake Instruments", openPrice: 71_20 },
];

export const catalogueSymbols: readonly string[] = catalogue.map(({ symbol }) => symbol);

/** As it is part of a topic's name and of a table's column. */
export function isSymbol(text: string): boolean {
  return /^[A-Z][A-Z0-9]{0,7}$/.test(text);
}

/** One that is not in the catalogue is called by its symbol, and opens at 100.00. */
export function instrumentOf(symbol: string): Instrument {
  const known = catalogue.find((instrument) => instrument.symbol === symbol);
  return known ?? { symbol, name: symbol, openPrice: 100_00 };
}
