# @summary One mailbox.
#
# * `login`: a bare name by which its owner may log in as well
# * `locked`: mail arrives, and nobody logs in
type Profile::Mail::Mailbox = Struct[{
    Optional[login]  => Pattern[/\A[a-z0-9][a-z0-9._-]*\z/],
    Optional[locked] => Boolean,
}]
