# @summary An address, without anything that a table of Postfix or Dovecot would take for something else.
type Profile::Mail::Address = Pattern[/\A[A-Za-z0-9._+=&'~-]+@[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?\z/]
