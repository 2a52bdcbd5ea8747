/** A client of the gateway, for applications. Raw connections for tests are behind `./wire`. */
export {};
