//! The calls that name a mechanism by its number. `cryptoki` has words for some mechanisms only: none for
//! `CKM_DES3_ECB_ENCRYPT_DATA`, which diversifies keys, nor for `CKM_DES2_KEY_GEN`; and which numbers a token wants is
//! data here. Everything else goes through `cryptoki`. This is the only file of the crate with `unsafe` in it.
#![allow(unsafe_code, reason = "a PKCS#11 module is a C library")]

use cryptoki::context::Function;
use cryptoki::error::{Error, Result, Rv};
use cryptoki::object::{Attribute, ObjectHandle};
use cryptoki::session::Session;
use cryptoki_sys::{
    CK_ATTRIBUTE, CK_FUNCTION_LIST, CK_KEY_DERIVATION_STRING_DATA, CK_MECHANISM, CK_MECHANISM_TYPE, CK_ULONG,
};
use std::path::Path;
use std::ptr;
use zeroize::Zeroizing;

/// A mechanism's number (`CKM_…`).
pub(crate) type MechanismNumber = CK_MECHANISM_TYPE;

/// Longest wrapped key in bytes: keys have at most 32, wrapping adds 8; with room for a token's own padding.
const WRAPPED_LEN_MAX: usize = 64;

/// The C functions of a module that is loaded.
pub(crate) struct Calls {
    functions: CK_FUNCTION_LIST,
    /// Keeps the library where `functions` point to.
    _library: cryptoki_sys::Pkcs11,
}

impl Calls {
    /// The functions of a module that [`cryptoki::context::Pkcs11`] has loaded: the loader hands out the same copy.
    pub(crate) fn of(module: &Path) -> Result<Calls> {
        // SAFETY: loading runs the library's initialisers. The operator names the module in the configuration, and
        // it has been loaded through `cryptoki` before, so they have run already.
        let library = unsafe { cryptoki_sys::Pkcs11::new(module) }.map_err(Error::LibraryLoading)?;
        if library.C_GetFunctionList.is_err() {
            return Err(Error::MissingSymbol("C_GetFunctionList"));
        }
        let mut list: *mut CK_FUNCTION_LIST = ptr::null_mut();
        // SAFETY: the symbol is there (checked above), and `list` is a valid place for one pointer.
        let code = unsafe { library.C_GetFunctionList(&mut list) };
        Rv::from(code).into_result(Function::GetFunctionList)?;
        if list.is_null() {
            return Err(Error::NullFunctionPointer);
        }
        // SAFETY: the module answered CKR_OK, so `list` points to its function list, which lives as long as the
        // library; it is copied, and the library is kept beside the copy.
        let functions = unsafe { *list };
        Ok(Calls { functions, _library: library })
    }

    /// Makes a new key of `template` inside the token.
    pub(crate) fn generate(
        &self,
        session: &Session,
        mechanism: MechanismNumber,
        template: &[Attribute],
    ) -> Result<ObjectHandle> {
        let call = self.functions.C_GenerateKey.ok_or(Error::NullFunctionPointer)?;
        let (mut mechanism, mut template) = (plain(mechanism), attributes(template));
        let (len, mut handle) = (ulong(template.len())?, 0);
        // SAFETY: mechanism and template are valid for the call and of the stated length; each attribute points into
        // the borrowed `template` it was made from; `handle` takes one handle.
        let code = unsafe { call(session.handle(), &mut mechanism, template.as_mut_ptr(), len, &mut handle) };
        Rv::from(code).into_result(Function::GenerateKey)?;
        Ok(object(handle))
    }

    /// Derives a key of `template` from `base` and `data`, which the mechanism takes as
    /// `CK_KEY_DERIVATION_STRING_DATA`.
    pub(crate) fn derive(
        &self,
        session: &Session,
        mechanism: MechanismNumber,
        base: ObjectHandle,
        data: &[u8],
        template: &[Attribute],
    ) -> Result<ObjectHandle> {
        let call = self.functions.C_DeriveKey.ok_or(Error::NullFunctionPointer)?;
        let mut parameter =
            CK_KEY_DERIVATION_STRING_DATA { pData: data.as_ptr().cast_mut(), ulLen: ulong(data.len())? };
        let mut mechanism = CK_MECHANISM {
            mechanism,
            pParameter: ptr::from_mut(&mut parameter).cast(),
            ulParameterLen: ulong(size_of::<CK_KEY_DERIVATION_STRING_DATA>())?,
        };
        let mut template = attributes(template);
        let (len, mut handle) = (ulong(template.len())?, 0);
        // SAFETY: as in `generate`; the parameter lives through the call, and the module only reads the data that it
        // points to (PKCS#11 2.40, 2.30.2: an input).
        let code = unsafe {
            call(session.handle(), &mut mechanism, base.handle(), template.as_mut_ptr(), len, &mut handle)
        };
        Rv::from(code).into_result(Function::DeriveKey)?;
        Ok(object(handle))
    }

    /// Enciphers `data` in place: whole blocks, as many out as in, and no copy of them anywhere else.
    pub(crate) fn encrypt(
        &self,
        session: &Session,
        mechanism: MechanismNumber,
        key: ObjectHandle,
        data: &mut [u8],
    ) -> Result<()> {
        let begin = self.functions.C_EncryptInit.ok_or(Error::NullFunctionPointer)?;
        let end = self.functions.C_Encrypt.ok_or(Error::NullFunctionPointer)?;
        let mut mechanism = plain(mechanism);
        // SAFETY: the mechanism is valid for the call and has no parameter.
        let code = unsafe { begin(session.handle(), &mut mechanism, key.handle()) };
        Rv::from(code).into_result(Function::EncryptInit)?;
        let mut out = Zeroizing::new(vec![0; data.len()]);
        let (len, mut out_len) = (ulong(data.len())?, ulong(out.len())?);
        // SAFETY: both buffers are valid for the lengths stated; the module writes to the second only, and no more
        // than `out_len`.
        let code = unsafe { end(session.handle(), data.as_mut_ptr(), len, out.as_mut_ptr(), &mut out_len) };
        Rv::from(code).into_result(Function::Encrypt)?;
        if out_len != len {
            return Err(Error::InvalidValue);
        }
        data.copy_from_slice(&out);
        Ok(())
    }

    /// Wraps `key` under `wrapping`.
    pub(crate) fn wrap(
        &self,
        session: &Session,
        mechanism: MechanismNumber,
        wrapping: ObjectHandle,
        key: ObjectHandle,
    ) -> Result<Vec<u8>> {
        let call = self.functions.C_WrapKey.ok_or(Error::NullFunctionPointer)?;
        let mut mechanism = plain(mechanism);
        let mut wrapped = vec![0; WRAPPED_LEN_MAX];
        let mut len = ulong(wrapped.len())?;
        // SAFETY: the mechanism is valid for the call; `wrapped` is valid for `len` bytes, and the module writes no
        // more than that.
        let code = unsafe {
            call(
                session.handle(),
                &mut mechanism,
                wrapping.handle(),
                key.handle(),
                wrapped.as_mut_ptr(),
                &mut len,
            )
        };
        Rv::from(code).into_result(Function::WrapKey)?;
        wrapped.truncate(usize::try_from(len)?);
        Ok(wrapped)
    }

    /// Brings a wrapped key in as an object of `template`.
    pub(crate) fn unwrap(
        &self,
        session: &Session,
        mechanism: MechanismNumber,
        wrapping: ObjectHandle,
        wrapped: &[u8],
        template: &[Attribute],
    ) -> Result<ObjectHandle> {
        let call = self.functions.C_UnwrapKey.ok_or(Error::NullFunctionPointer)?;
        let (mut mechanism, mut template) = (plain(mechanism), attributes(template));
        let (len, template_len, mut handle) = (ulong(wrapped.len())?, ulong(template.len())?, 0);
        // SAFETY: as in `generate`; the module only reads the wrapped key (an input).
        let code = unsafe {
            call(
                session.handle(),
                &mut mechanism,
                wrapping.handle(),
                wrapped.as_ptr().cast_mut(),
                len,
                template.as_mut_ptr(),
                template_len,
                &mut handle,
            )
        };
        Rv::from(code).into_result(Function::UnwrapKey)?;
        Ok(object(handle))
    }
}

/// A mechanism without parameter.
fn plain(mechanism: MechanismNumber) -> CK_MECHANISM {
    CK_MECHANISM { mechanism, pParameter: ptr::null_mut(), ulParameterLen: 0 }
}

/// The attributes as C takes them; they point into `template`.
fn attributes(template: &[Attribute]) -> Vec<CK_ATTRIBUTE> {
    template.iter().map(CK_ATTRIBUTE::from).collect()
}

fn ulong(len: usize) -> Result<CK_ULONG> {
    Ok(CK_ULONG::try_from(len)?)
}

fn object(handle: cryptoki_sys::CK_OBJECT_HANDLE) -> ObjectHandle {
    // SAFETY: a module has just handed this number out as that of an object. A wrong number is no memory error: the
    // module looks every handle up.
    unsafe { ObjectHandle::new_from_raw(handle) }
}
