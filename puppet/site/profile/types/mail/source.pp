# @summary What mail may be sent to that is sent on: an address, or `@domain` for all that is nobody's there.
type Profile::Mail::Source = Variant[
  Profile::Mail::Address,
  Pattern[/\A@[a-z0-9]([a-z0-9.-]*[a-z0-9])?\z/],
]
