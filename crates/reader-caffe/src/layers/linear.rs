//! Matrix products with stored matrices.

use super::{Call, MISFIT, Tops};
use caribou_ir::op::{Dense, Reshape, Size};

/// `InnerProduct`: all axes from `axis` on are one vector, which is multiplied by the matrix.
pub(super) fn inner_product(call: &mut Call<'_>) -> Tops {
    let parameters = call.parameters.inner_product_param.clone().unwrap_or_default();
    let x = call.input()?;
    let rank = call.rank(x);
    let axis = call.inner_axis(parameters.axis(), x)?;
    let sizes = (axis..rank)
        .map(|axis| call.size(x, axis))
        .collect::<Result<Vec<usize>, _>>()?;
    let features = sizes
        .iter()
        .try_fold(1usize, |product, &size| product.checked_mul(size));
    let Some(features) = features else {
        return Err(call.refuse(MISFIT, "its bottom has too many elements"));
    };
    let out = parameters.num_output() as usize;
    if out == 0 {
        return Err(call.misconfigured("num_output is missing"));
    }
    let (mut x, time_first) = call.examples_first(x)?;
    if sizes.len() > 1 {
        let mut target: Vec<Size> = (0..axis).map(Size::Keep).collect();
        target.push(Size::Fixed(features));
        x = call.apply(Reshape { target }, &[x])?;
    }
    let weight = if parameters.transpose() {
        call.blob(0, &[features, out])?
    } else {
        let rows = call.blob(0, &[out, features])?;
        rows.permute(&[1, 0])
            .map_err(|error| call.refuse(super::WEIGHT, error.to_string()))?
    };
    let bias = parameters.bias_term().then(|| call.blob(1, &[out])).transpose()?;
    let y = call.apply(Dense { weight, bias }, &[x])?;
    Ok(vec![call.put_back(y, time_first)?])
}
