# @summary A domain that mail is taken for, in small letters.
type Profile::Mail::Domain = Pattern[/\A[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+\z/]
