-- Who of the account is seated, the oldest seat first. Writes nothing.
local seats = read_seats(base_of(KEYS[1]))
return told(seated(seats, (clock()), nil, 'gen'))
