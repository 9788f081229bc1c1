//! libpam, found when the process runs (pam(3), Linux-PAM and OpenPAM). A machine without it goes without.

use libc::{c_char, c_int, c_void};
use std::ffi::{CStr, CString};
use std::ptr;
use std::sync::{Mutex, PoisonError};

const LIBRARY: &CStr = c"libpam.so.0";

/// Codes and flags of Linux-PAM's `_pam_types.h`, as used here.
const SUCCESS: c_int = 0;
const CONVERSATION_ERROR: c_int = 19;
const NEW_PASSWORD_REQUIRED: c_int = 12;
const ERROR_MESSAGE: c_int = 3;
const TEXT_INFO: c_int = 4;
const SILENT: c_int = 0x8000;
const DISALLOW_NULL_PASSWORD: c_int = 0x1;
const ESTABLISH: c_int = 0x2;
const DELETE: c_int = 0x4;
const TTY: c_int = 3;
const REMOTE_HOST: c_int = 4;
/// Bytes of PAM's messages that are kept. Cut.
const MESSAGE_BYTES: usize = 16 * 1024;

#[repr(C)]
struct Message {
    style: c_int,
    text: *const c_char,
}

#[repr(C)]
struct Response {
    text: *mut c_char,
    code: c_int,
}

type Converse =
    unsafe extern "C" fn(c_int, *const *const Message, *mut *mut Response, *mut c_void) -> c_int;

#[repr(C)]
struct Conversation {
    converse: Converse,
    data: *mut c_void,
}

type Handle = *mut c_void;

type Start =
    unsafe extern "C" fn(*const c_char, *const c_char, *const Conversation, *mut Handle) -> c_int;
type SetItem = unsafe extern "C" fn(Handle, c_int, *const c_void) -> c_int;
/// A handle, and flags or a code.
type Step = unsafe extern "C" fn(Handle, c_int) -> c_int;
type Environment = unsafe extern "C" fn(Handle) -> *mut *mut c_char;
type PutEnvironment = unsafe extern "C" fn(Handle, *const c_char) -> c_int;
type Words = unsafe extern "C" fn(Handle, c_int) -> *const c_char;

/// The functions of the library.
struct Library {
    start: Start,
    set_item: SetItem,
    account: Step,
    credentials: Step,
    open: Step,
    close: Step,
    end: Step,
    environment: Environment,
    put_environment: PutEnvironment,
    words: Words,
}

impl Library {
    fn load() -> Option<Self> {
        // SAFETY: the name is a C string; loading the system's PAM runs its constructors, which is what it is for.
        let library = unsafe { libc::dlopen(LIBRARY.as_ptr(), libc::RTLD_NOW | libc::RTLD_GLOBAL) };
        if library.is_null() {
            return None;
        }
        let find = |name: &CStr| {
            // SAFETY: `library` was opened above and is never closed.
            let found = unsafe { libc::dlsym(library, name.as_ptr()) };
            (!found.is_null()).then_some(found)
        };
        macro_rules! function {
            ($name:literal, $type:ty) => {
                // SAFETY: the function of this name has had this type since the first libpam.so.0.
                unsafe { std::mem::transmute::<*mut c_void, $type>(find($name)?) }
            };
        }
        Some(Self {
            start: function!(c"pam_start", Start),
            set_item: function!(c"pam_set_item", SetItem),
            account: function!(c"pam_acct_mgmt", Step),
            credentials: function!(c"pam_setcred", Step),
            open: function!(c"pam_open_session", Step),
            close: function!(c"pam_close_session", Step),
            end: function!(c"pam_end", Step),
            environment: function!(c"pam_getenvlist", Environment),
            put_environment: function!(c"pam_putenv", PutEnvironment),
            words: function!(c"pam_strerror", Words),
        })
    }
}

/// Messages of a conversation, in their order.
type Said = Mutex<String>;

/// A PAM transaction about one account. Dropped, it is ended and its modules clean up; [`Pam::leave`] keeps what they made.
pub(crate) struct Pam {
    libpam: Library,
    handle: Handle,
    /// Boxed and kept: the library holds pointers to both.
    said: Box<Said>,
    _conversation: Box<Conversation>,
    last: c_int,
}

/// What PAM answered, other than yes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum No {
    /// The account's password must be changed first.
    PasswordExpired,
    /// Any other, in the library's words.
    Words(String),
}

impl Pam {
    /// Begins; `None` when the machine has no libpam.
    pub(crate) fn start(
        service: &CStr,
        login: &CStr,
        host: Option<&CStr>,
    ) -> Option<Result<Self, String>> {
        let libpam = Library::load()?;
        let said = Box::new(Said::default());
        let data = ptr::from_ref::<Said>(&said).cast_mut().cast::<c_void>();
        let conversation = Box::new(Conversation { converse, data });
        let mut handle = ptr::null_mut();
        // SAFETY: the strings end in NUL; the conversation is boxed and outlives the handle, as does what it points to.
        let code = unsafe {
            (libpam.start)(
                service.as_ptr(),
                login.as_ptr(),
                &raw const *conversation,
                &raw mut handle,
            )
        };
        if code != SUCCESS || handle.is_null() {
            return Some(Err(format!("PAM does not start (code {code})")));
        }
        let pam = Self { libpam, handle, said, _conversation: conversation, last: SUCCESS };
        // As sshd: some modules, such as pam_time, want a terminal to have a name.
        pam.set(TTY, c"ssh");
        if let Some(host) = host {
            pam.set(REMOTE_HOST, host);
        }
        Some(Ok(pam))
    }

    fn set(&self, item: c_int, value: &CStr) {
        // SAFETY: the handle lives; the library copies the string.
        unsafe { (self.libpam.set_item)(self.handle, item, value.as_ptr().cast()) };
    }

    /// Whether the account may come in now.
    pub(crate) fn account(&mut self) -> Result<(), No> {
        // SAFETY: the handle lives.
        let code = unsafe { (self.libpam.account)(self.handle, DISALLOW_NULL_PASSWORD) };
        self.check(code)
    }

    pub(crate) fn establish_credentials(&mut self) -> Result<(), No> {
        // SAFETY: the handle lives.
        let code = unsafe { (self.libpam.credentials)(self.handle, ESTABLISH) };
        self.check(code)
    }

    pub(crate) fn delete_credentials(&mut self) -> Result<(), No> {
        // SAFETY: the handle lives.
        let code = unsafe { (self.libpam.credentials)(self.handle, DELETE) };
        self.check(code)
    }

    /// Opens the session; `silent` asks modules for no messages, which nobody would see.
    pub(crate) fn open_session(&mut self, silent: bool) -> Result<(), No> {
        // SAFETY: the handle lives.
        let code = unsafe { (self.libpam.open)(self.handle, if silent { SILENT } else { 0 }) };
        self.check(code)
    }

    pub(crate) fn close_session(&mut self) -> Result<(), No> {
        // SAFETY: the handle lives.
        let code = unsafe { (self.libpam.close)(self.handle, SILENT) };
        self.check(code)
    }

    /// The variables that modules set, as `NAME=value`.
    pub(crate) fn environment(&self) -> Vec<Vec<u8>> {
        // SAFETY: the handle lives; the list is ours from here on.
        let list = unsafe { (self.libpam.environment)(self.handle) };
        let mut all = Vec::new();
        if list.is_null() {
            return all;
        }
        let mut at = list;
        loop {
            // SAFETY: the list ends with a null pointer, behind which this loop does not go.
            let text = unsafe { *at };
            if text.is_null() {
                break;
            }
            // SAFETY: a string that malloc gave and nobody else has; it is read, then freed, once.
            unsafe {
                all.push(CStr::from_ptr(text).to_bytes().to_vec());
                libc::free(text.cast());
                at = at.add(1);
            }
        }
        // SAFETY: as its strings.
        unsafe { libc::free(list.cast()) };
        all
    }

    /// Sets a variable, as `NAME=value`.
    pub(crate) fn put_environment(&mut self, variable: &CStr) {
        // SAFETY: the handle lives; Linux-PAM copies the string.
        unsafe { (self.libpam.put_environment)(self.handle, variable.as_ptr()) };
    }

    /// What modules have said since this was asked last.
    pub(crate) fn messages(&self) -> String {
        std::mem::take(&mut *self.said.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Forgets the transaction without an end: what its modules made stays, for the program that this process becomes.
    pub(crate) fn leave(self) {
        let _ = std::mem::ManuallyDrop::new(self);
    }

    fn check(&mut self, code: c_int) -> Result<(), No> {
        self.last = code;
        match code {
            SUCCESS => Ok(()),
            NEW_PASSWORD_REQUIRED => Err(No::PasswordExpired),
            other => {
                // SAFETY: the handle lives; the text is the library's own and static.
                let words = unsafe { (self.libpam.words)(self.handle, other) };
                if words.is_null() {
                    return Err(No::Words(format!("code {other}")));
                }
                // SAFETY: not null, and a C string by the function's contract.
                let words = unsafe { CStr::from_ptr(words) };
                Err(No::Words(words.to_string_lossy().into_owned()))
            }
        }
    }
}

impl Drop for Pam {
    fn drop(&mut self) {
        // SAFETY: the handle lives and is not used again.
        unsafe { (self.libpam.end)(self.handle, self.last) };
    }
}

/// Keeps messages and answers no question: nobody is there to be asked.
///
/// # Safety
/// Called by libpam with `count` messages, room for an answer, and the pointer that `Pam::start` gave it.
unsafe extern "C" fn converse(
    count: c_int,
    messages: *const *const Message,
    answers: *mut *mut Response,
    data: *mut c_void,
) -> c_int {
    let count = usize::try_from(count).unwrap_or(0);
    if count == 0 || count > 32 || messages.is_null() || answers.is_null() || data.is_null() {
        return CONVERSATION_ERROR;
    }
    // SAFETY: `data` is the boxed `Said` of a `Pam` that lives as long as its handle; only shared access is made.
    let said = unsafe { &*data.cast::<Said>() };
    for at in 0..count {
        // SAFETY: Linux-PAM passes `count` pointers to messages; each is checked before it is followed.
        let message = unsafe { *messages.add(at) };
        if message.is_null() {
            return CONVERSATION_ERROR;
        }
        // SAFETY: not null, so a message.
        let Message { style, text } = unsafe { &*message };
        if !matches!(*style, ERROR_MESSAGE | TEXT_INFO) {
            return CONVERSATION_ERROR;
        }
        if text.is_null() {
            continue;
        }
        // SAFETY: not null, so a C string.
        let text = unsafe { CStr::from_ptr(*text) }.to_string_lossy();
        let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.len().saturating_add(text.len()) < MESSAGE_BYTES {
            said.push_str(&text);
            said.push('\n');
        }
    }
    // SAFETY: the answers are freed by libpam with free(3); zeros are empty answers.
    let empty = unsafe { libc::calloc(count, size_of::<Response>()) };
    if empty.is_null() {
        return CONVERSATION_ERROR;
    }
    // SAFETY: checked above to be not null; one pointer is written.
    unsafe { *answers = empty.cast() };
    SUCCESS
}

/// A C string, or nothing where there would be a NUL inside.
pub(crate) fn c_string(bytes: impl Into<Vec<u8>>) -> Option<CString> {
    CString::new(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs the conversation as libpam would.
    fn told(messages: &[(c_int, &CStr)]) -> (c_int, String) {
        let said = Said::default();
        let all: Vec<Message> = messages
            .iter()
            .map(|(style, text)| Message { style: *style, text: text.as_ptr() })
            .collect();
        let pointers: Vec<*const Message> = all.iter().map(ptr::from_ref).collect();
        let mut answers = ptr::null_mut();
        let count = c_int::try_from(all.len()).unwrap();
        let data = ptr::from_ref(&said).cast_mut().cast();
        // SAFETY: everything pointed to lives until the end of this function.
        let code = unsafe { converse(count, pointers.as_ptr(), &raw mut answers, data) };
        // SAFETY: calloc's, or null.
        unsafe { libc::free(answers.cast()) };
        (code, said.into_inner().unwrap())
    }

    #[test]
    fn messages_are_kept_and_questions_are_not_answered() {
        let both = [(TEXT_INFO, c"hello"), (ERROR_MESSAGE, c"expired")];
        assert_eq!(told(&both), (SUCCESS, "hello\nexpired\n".to_owned()));
        for style in [0, 1, 2, 5, -1] {
            assert_eq!(told(&[(style, c"Password: ")]), (CONVERSATION_ERROR, String::new()));
        }
        assert_eq!(told(&[]), (CONVERSATION_ERROR, String::new()));
        let long = CString::new(vec![b'x'; MESSAGE_BYTES]).unwrap();
        assert_eq!(told(&[(TEXT_INFO, &long)]), (SUCCESS, String::new()));
    }
}
